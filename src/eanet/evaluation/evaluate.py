"""What a model is worth on an image set it has not learned from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eanet.console import progress_bar
from eanet.data.batches import in_order
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.files import replacing
from eanet.models import Classifier
from eanet.models.registry import unnamed_classes

BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answers on an image set.

    Attributes:
        logits: (n, K).
        labels: (n,).
        classes: the K names.
        label_smoothing: of ``loss``.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    label_smoothing: float = 0.0

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits, (n, K)."""
        return torch.from_numpy(self.logits).softmax(dim=1).numpy()

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, (n,)."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def loss(self) -> float:
        """Mean cross-entropy, with the training's label smoothing."""
        return torch.nn.functional.cross_entropy(
            torch.from_numpy(self.logits),
            torch.from_numpy(self.labels),
            label_smoothing=self.label_smoothing,
        ).item()

    def top(self, k: int) -> float:
        """Fraction of the images whose class is among the ``k`` most probable ones."""
        best = torch.from_numpy(self.logits).topk(min(k, len(self.classes)), dim=1).indices
        return best.eq(torch.from_numpy(self.labels).unsqueeze(1)).any(dim=1).double().mean().item()

    def confusion(self) -> NDArray[np.int64]:
        """Images by true class (row) and predicted class (column), (K, K)."""
        matrix = np.zeros((len(self.classes),) * 2, dtype=np.int64)
        np.add.at(matrix, (self.labels, self.predicted), 1)
        return matrix

    def metrics(self) -> dict[str, float | int]:
        """What is worth a number; accuracies are fractions."""
        return {
            "images": len(self.labels),
            "loss": self.loss,
            "label_smoothing": self.label_smoothing,
            "top1": self.top(1),
            "top5": self.top(5),
        }


def evaluate(
    model: Classifier,
    images: ImageSet,
    *,
    device: str = "cpu",
    label_smoothing: float = 0.0,
) -> Evaluation:
    """Ask a model about every image of a set, in float32.

    Raises:
        EanetError: the set is empty, of another image size, or of classes that the model does not
            know.
    """
    if not len(images):
        raise EanetError("there are no images to evaluate on")
    size = model.config.image_size
    if images.image_size != size:
        raise EanetError(
            f"the images have a side of {images.image_size} pixels, the model takes {size}"
        )
    classes = match_classes(model.classes, images.classes)
    model = model.to(device).eval()
    return Evaluation(
        np.concatenate(list(_logits(model, images, device))),
        images.labels,
        classes,
        label_smoothing,
    )


@torch.inference_mode()
def _logits(model: Classifier, images: ImageSet, device: str) -> Iterator[NDArray[np.float32]]:
    """Logits ``(B, K)`` of one batch after the other."""
    with progress_bar() as bar:
        for pixels, _ in bar.track(
            in_order(images, BATCH_SIZE), -(-len(images) // BATCH_SIZE), description="evaluating"
        ):
            yield model(pixels.to(device)).float().cpu().numpy()


def match_classes(known: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes, where a model's and a data set's are the same in number and order.

    A model that was never told the names of its classes takes those of the data.

    Raises:
        EanetError: they are not the same.
    """
    if known == found:
        return known
    if known == unnamed_classes(len(found)):
        return found
    differing = sorted(set(known) ^ set(found))
    why = f"for one: {differing[0]!r}" if differing else "their order differs"
    raise EanetError(
        f"the data's {len(found)} classes are not the model's {len(known)} "
        f"({why}); evaluate on data with the classes it was trained on"
    )


def write_metrics(evaluation: Evaluation, path: Path, **about: str) -> Path:
    """Write the metrics, behind what they are ``about``, as JSON."""
    with replacing(path) as partial:
        partial.write_text(json.dumps({**about, **evaluation.metrics()}, indent=2) + "\n", "utf-8")
    return path
