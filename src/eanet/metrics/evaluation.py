"""Evaluate a model on an image set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from eanet.console import progress_bar
from eanet.data.batches import in_order
from eanet.data.class_names import unknown_classes
from eanet.data.imageset import ImageSet
from eanet.deploy.module import RuntimeModule
from eanet.device import freed_memory_kept
from eanet.errors import EanetError, NonFiniteOutputError
from eanet.metrics.calibration import Reliability
from eanet.metrics.classes import ClassFigures, class_figures, macro_averages
from eanet.metrics.intervals import share_with_interval
from eanet.models import Classifier
from eanet.models.registry import unnamed_classes
from eanet.ops.kernels import build_kernels

BATCH_SIZE = 256
MANY_CLASSES = 20  # from which top-5 says something: chance is at most a quarter


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's predictions on an image set.

    Attributes:
        logits: (n, K).
        labels: (n,).
        classes: the K names.
        label_smoothing: used in ``loss``.
        distance: from the training images, (n,), above 1 if an image is taken for an unknown thing;
            None if the model has no `eanet.models.unknown.UnknownDetector`.
        groups: which images belong together, (n,), so that intervals are honest; None: each is by
            itself.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    label_smoothing: float = 0.0
    distance: NDArray[np.float32] | None = None
    groups: NDArray[np.int64] | None = None

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits, (n, K)."""
        return torch.from_numpy(self.logits).softmax(dim=1).numpy()

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, (n,)."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def loss(self) -> float:
        """Mean cross-entropy, with the training's label smoothing."""
        return self._cross_entropy(self.label_smoothing)

    def top(self, k: int) -> float:
        """Return the fraction of images whose class is among the ``k`` most probable ones."""
        return int(self.in_top(k).sum()) / len(self.labels)

    def in_top(self, k: int) -> NDArray[np.bool_]:
        """Return whether the class of each image is among the ``k`` most probable ones, (n,)."""
        # Of equal logits the first comes first, as in `predicted`.
        order = np.argsort(-self.logits, axis=1, kind="stable")  # (n, K)
        return np.asarray((order[:, :k] == self.labels[:, None]).any(axis=1))

    @property
    def largest_classes(self) -> tuple[tuple[str, ...], float]:
        """Names of the classes with the most images, and the share that guessing one would reach.

        They are several if they have equally many.
        """
        counts = np.bincount(self.labels, minlength=len(self.classes))
        largest = np.flatnonzero(counts == counts.max()).tolist()
        return tuple(self.classes[i] for i in largest), int(counts.max()) / len(self.labels)

    def confusion(self) -> NDArray[np.int64]:
        """Count images by true class (row) and predicted class (column), (K, K)."""
        matrix = np.zeros((len(self.classes),) * 2, dtype=np.int64)
        np.add.at(matrix, (self.labels, self.predicted), 1)
        return matrix

    @cached_property
    def by_class(self) -> list[ClassFigures]:
        """Precision, recall and F1 of each class."""
        return class_figures(self.labels, self.predicted, self.classes, self.groups)

    @cached_property
    def reliability(self) -> Reliability:
        """Accuracy by confidence."""
        return Reliability.of(self.probabilities, self.labels, self.groups)

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood of the true classes: cross-entropy without smoothing."""
        return self._cross_entropy(0.0)

    def _cross_entropy(self, label_smoothing: float) -> float:
        logits, labels = torch.from_numpy(self.logits), torch.from_numpy(self.labels)
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing).item()

    def metrics(self) -> dict[str, float | int]:
        """Return all metrics by name.

        Accuracies, precision, recall, calibration error and rejections are fractions; ``_low`` and
        ``_high`` are the ends of 95 % confidence intervals. With a detector of unknown images,
        ``false_rejections`` is the share of these images that it takes for unknown ones,
        ``right_rejected`` the share of the right answers, and ``accepted_top1`` the accuracy on the
        others. ``confidence`` is the mean probability of the answers, ``majority_baseline`` the
        accuracy of always guessing the largest class. ``groups`` is how many there are, if images
        belong together.
        """
        images = len(self.labels)
        metrics: dict[str, float | int] = {
            "images": images,
            "classes": len(self.classes),
            "loss": self.loss,
            "label_smoothing": self.label_smoothing,
        }
        if self.groups is not None and (groups := len(np.unique(self.groups))) < images:
            metrics["groups"] = groups
        for k in (1, 5):
            metrics |= share_with_interval(f"top{k}", self.in_top(k), self.groups)
        metrics["majority_baseline"] = self.largest_classes[1]
        precision, recall, f1 = macro_averages(self.by_class)
        metrics |= {
            "macro_precision": precision,
            "macro_recall": recall,
            "macro_f1": f1,
            "nll": self.nll,
            "ece": self.reliability.error,
            "confidence": float(self.probabilities.max(axis=1).mean()),
        }
        return metrics | self._rejections()

    def _rejections(self) -> dict[str, float | int]:
        """Return what the detector makes of these images of known classes, if there is one."""
        if self.distance is None:
            return {}
        accepted, right = self.distance <= 1, self.predicted == self.labels  # each (n,)
        metrics = share_with_interval("false_rejections", ~accepted, self.groups)
        for name, part, of in (
            ("accepted_top1", right, accepted),
            ("right_rejected", ~accepted, right),
        ):
            if of.any():
                own = None if self.groups is None else self.groups[of]
                metrics |= share_with_interval(name, part[of], own)
        return metrics


def evaluate_model(
    model: Classifier | RuntimeModule,
    images: ImageSet,
    *,
    device: str = "cpu",
    label_smoothing: float = 0.0,
) -> Evaluation:
    """Run a model on every image of a set, in float32.

    Raises:
        EanetError: the set is empty, its image size is not that of the model, or it has a class
            that the model does not know; or the model does not take colour images or its outputs
            are not finite.
    """
    if not len(images):
        raise EanetError("there are no images to evaluate on")
    size = model.config.image_size
    if images.image_size != size:
        raise EanetError(
            f"the images have a side of {images.image_size} pixels, the model takes {size}"
        )
    if model.config.in_channels != 3:
        raise EanetError(
            f"the model was created with in_channels={model.config.in_channels}, not for the "
            "colour images of the data"
        )
    images = in_classes_of(model.classes, images)
    if device == "cpu":
        build_kernels()
    model = model.to(device).eval()
    with freed_memory_kept():
        logits, *distances = computed(model.forward_with_distance, images, device)
    if not np.isfinite(logits).all():
        raise NonFiniteOutputError
    distance = distances[0] if distances else None
    return Evaluation(
        logits, images.labels, images.classes, label_smoothing, distance, images.groups
    )


@torch.inference_mode()
def computed(
    function: Callable[[Tensor], Iterable[Tensor | None]],
    images: ImageSet,
    device: str,
    title: str = "evaluating",
) -> list[NDArray[np.float32]]:
    """Return what ``function`` computes of all images, without what is None.

    Args:
        function: maps the pixels of a batch ``(B, 3, H, W)`` to tensors ``(B, ...)``.
        images: n images.
        device: where to compute.
        title: of the progress bar.

    Returns:
        Arrays (n, ...).
    """
    batches = []
    with progress_bar() as bar:
        for pixels, _ in bar.track(
            in_order(images, BATCH_SIZE), -(-len(images) // BATCH_SIZE), description=title
        ):
            results = function(pixels.to(device))
            batches.append([result.float().cpu() for result in results if result is not None])
    return [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]


def of_known_classes(known: tuple[str, ...], images: ImageSet) -> ImageSet:
    """Return the images that `in_classes_of` takes: those of classes that a model knows."""
    if known in (images.classes, unnamed_classes(len(images.classes))):
        return images
    is_known = np.array([name in known for name in images.classes])
    return images.subset(np.flatnonzero(is_known[images.labels]))


def in_classes_of(known: tuple[str, ...], images: ImageSet) -> ImageSet:
    """Return images with their labels as a model numbers its classes, which are found by name.

    The images may be of some of them. A model without names for its classes takes those of the
    data.

    Raises:
        EanetError: an image is of a class that the model does not know.
    """
    given = images.classes
    if known in (given, unnamed_classes(len(given))):
        return images
    places = {name: place for place, name in enumerate(known)}
    if unknown := [
        given[label] for label in np.unique(images.labels) if given[label] not in places
    ]:
        raise unknown_classes(unknown, known, "of the data")
    table = np.array([places.get(name, -1) for name in given], dtype=np.int64)
    return replace(images, labels=table[images.labels], classes=known)
