"""Rejecting what a model does not know: fitting a detector, and what it is worth.

How it was chosen among six scores: docs/unsure.md.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from eanet.data.imageset import ImageSet
from eanet.device import freed_memory_kept
from eanet.errors import EanetError
from eanet.metrics.evaluation import computed
from eanet.models import Classifier
from eanet.models.unknown import FALSE_REJECTIONS, DetectorFit, UnknownDetector
from eanet.ops.kernels import build_kernels

ALL_ALIKE = (
    "to the model, the training images of each class are all alike, so that no distance from them "
    "is a large one"
)
ROUNDING = 1e-4  # of a distance, so that the image that the threshold is taken from is accepted
LARGEST_SHARE = 0.25  # of known images rejected, that is worth suggesting
MOST_IMAGES = 10_000  # to fit a detector on, and of other pictures: more change nothing that shows


class NoDetectorError(EanetError):
    """No detector can be fitted to these images, or to what the model makes of them."""


def why_none(train: ImageSet | None, validation: ImageSet | None, share: float) -> str | None:
    """Return why no detector can be fitted on these images, or None if one can.

    A threshold that rejects at most a share of the known images needs a validation image more than
    ``1 / share - 1``: with fewer, the farthest of them says too little.
    """
    needed = math.ceil(1 / share - 1e-9) - 1
    found = 0 if validation is None else len(validation)
    if found < needed:
        reason = (
            f"rejecting no more than {share:.1%} of the known images takes {needed:,} validation "
            f"images to choose the threshold on; there are {found:,}"
        )
        least = math.ceil(100 / (found + 1)) / 100
        enough = f", enough for `eanet evaluate RUN --false-rejections {least:g}`"
        return reason + (enough if least <= LARGEST_SHARE else "")
    if train is None or not (counts := train.counts()).all():
        lacking = "all classes" if train is None else train.classes[int(counts.argmin())]
        return f"there are no training images of {lacking} to measure the distance from"
    if counts.max() == 1:
        return (
            "there is one training image of each class, so that no distance from it is a large one"
        )
    return None


def fit_detector(
    model: Classifier,
    train: ImageSet,
    validation: ImageSet,
    *,
    false_rejections: float = FALSE_REJECTIONS,
    device: str = "cpu",
) -> None:
    """Give a model an `UnknownDetector`.

    The covariance is that of Ledoit and Wolf (2004), which is sound for fewer images than features.
    The threshold is the smallest distance that rejects at most the wanted share of further images
    of the known classes, whatever their distribution, if they are drawn as the validation images
    were (split conformal prediction: Vovk et al., 2005). A calibration by temperature changes
    neither, since it scales the head alone.

    Args:
        model: trained; moved to ``device``.
        train: images to measure the distance from, of every class; at most 10,000 are used.
        validation: images to choose the threshold on, unseen in training; never those of a test.
        false_rejections: the wanted share, above 0.
        device: where to compute.

    Raises:
        NoDetectorError: there are too few images, or those of each class are all alike.
    """
    from sklearn.covariance import LedoitWolf

    if reason := why_none(train, validation, false_rejections):
        raise NoDetectorError(reason)
    train = _first_of_each_class(train)
    if device == "cpu":
        build_kernels()
    model = model.to(device).eval()

    def function(pixels: Tensor) -> list[Tensor]:
        return [model.pooled_features(pixels)]  # (B, dim)

    with freed_memory_kept():
        (features,) = computed(function, train, device, "measuring distances")  # (n, dim)
        (held_out,) = computed(function, validation, device, "measuring distances")  # (m, dim)
    x, labels = features.astype(np.float64), train.labels
    means = np.stack([x[labels == k].mean(axis=0) for k in range(len(train.classes))])  # (K, dim)
    covariance = LedoitWolf(assume_centered=True).fit(x - means[labels])
    try:
        whitening = np.linalg.cholesky(covariance.precision_)  # (dim, dim)
    except np.linalg.LinAlgError as error:
        raise NoDetectorError(ALL_ALIKE) from error
    fit = DetectorFit(false_rejections, len(train), len(validation))
    detector = UnknownDetector(x.shape[1], len(means), fit)
    detector.whitening.copy_(torch.from_numpy(whitening))
    detector.means.copy_(torch.from_numpy(means @ whitening))
    distances = np.sort(detector(torch.from_numpy(held_out)).numpy())
    allowed = math.floor(false_rejections * (len(distances) + 1) + 1e-9)  # 1 or more
    threshold = float(distances[-allowed]) * (1 + ROUNDING)
    detector.whitening.div_(threshold)
    detector.means.div_(threshold)
    model.detector = detector.to(device)


def _first_of_each_class(images: ImageSet) -> ImageSet:
    """Return the first images of each class, at most `MOST_IMAGES` together."""
    most = max(1, MOST_IMAGES // len(images.classes))
    if len(images) <= MOST_IMAGES:
        return images
    chosen = [np.flatnonzero(images.labels == k)[:most] for k in range(len(images.classes))]
    return images.subset(np.sort(np.concatenate(chosen)))
