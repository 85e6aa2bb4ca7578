"""Whether a model that is 80 % sure is right 80 % of the time, and how to make it so.

Guo et al. (2017), "On Calibration of Modern Neural Networks", arXiv 1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eanet.metrics.intervals import interval_of
from eanet.models import Classifier

BINS = 15
LOWEST, HIGHEST = 0.01, 100.0  # temperatures


@dataclass(frozen=True, eq=False)
class Reliability:
    """Images grouped by the model's confidence, in bins of equal width from 0 to 1.

    Attributes:
        images: number in each bin, (15,).
        confidence: mean probability of the predicted classes in each bin, (15,); NaN if empty.
        accuracy: fraction of correct predictions in each bin, (15,); NaN if empty.
        low: lower end of the 95 % confidence interval of the accuracy, (15,); NaN if empty.
        high: upper end.
    """

    images: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        probabilities: NDArray[np.float32],
        labels: NDArray[np.int64],
        groups: NDArray[np.int64] | None = None,
    ) -> Reliability:
        """Bin the probabilities ``(n, K)`` predicted for images with labels ``(n,)``.

        Images of the same of ``groups``, (n,), belong together.
        """
        confidences = probabilities.max(axis=1).astype(np.float64)
        correct = probabilities.argmax(axis=1) == labels
        # Each bin includes its upper edge, as in the paper.
        bins = np.clip(np.ceil(confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
        images, confidence, accuracy = (
            np.bincount(bins, weights, minlength=BINS) for weights in (None, confidences, correct)
        )
        filled = np.where(images > 0, images, np.nan)
        low, high = np.full((2, BINS), np.nan)
        for index in np.unique(bins):
            own = bins == index
            low[index], high[index] = interval_of(
                correct[own], None if groups is None else groups[own]
            )
        return cls(images.astype(np.int64), confidence / filled, accuracy / filled, low, high)

    @property
    def error(self) -> float:
        """Expected calibration error (section 2): mean distance between confidence and accuracy."""
        gaps = np.abs(self.confidence - self.accuracy)
        return float(np.nansum(self.images * gaps) / self.images.sum())


def verdict(metrics: Mapping[str, float]) -> str:
    """Say whether a model is too sure or not sure enough, from the metrics of its evaluation.

    It is neither if the mean confidence lies within the confidence interval of the accuracy.
    """
    confidence, accuracy = metrics["confidence"], metrics["top1"]
    if metrics["top1_low"] <= confidence <= metrics["top1_high"]:
        return "neither too sure nor too unsure on average"
    points = f"by {100 * abs(confidence - accuracy):.1f} points on average"
    return f"too sure, {points}" if confidence > accuracy else f"not sure enough, {points}"


def note_of_temperature(metrics: Mapping[str, float]) -> str:
    """Return a remark if the temperature made the probabilities worse, else "".

    It was fitted on other images, and cannot be better on these than those are like them.
    """
    if metrics["nll"] <= metrics["nll_before"]:
        return ""
    fitted = f"{metrics['temperature_images']:,} validation images"
    return f"worse on these images: the {fitted} that it was fitted on are too few, or unlike them"


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature to divide logits by for the best fit to the labels (section 4.2).

    The target probability of the true class is 1 - 1/(n + 2) for n images, not 1. Otherwise, a
    model without mistakes on these images would become certain of all others too (Platt, 1999,
    "Probabilistic Outputs for Support Vector Machines", section 2.2).

    Args:
        logits: (n, K), of images used neither to train nor to evaluate the model.
        labels: (n,), their classes.
    """
    scores = torch.from_numpy(logits).double()
    count, classes = scores.shape
    doubt = 1 / (count + 2)
    true = scores.gather(1, torch.from_numpy(labels).unsqueeze(1)).mean()
    others = (scores.sum() / count - true) / max(1, classes - 1)
    wanted = (1 - doubt) * true + doubt * others
    # The loss is convex in 1/T; its slope is the expected minus the wanted logit. Bisection in
    # log T finds its zero.
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(40):
        middle = (low + high) / 2
        probabilities = (scores / math.exp(middle)).softmax(dim=1)
        if (probabilities * scores).sum() / count > wanted:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


@torch.no_grad()
def divide_logits(model: Classifier, temperature: float) -> None:
    """Divide a model's logits by ``temperature``, by scaling its last layer in place.

    Everything that uses the model then gives calibrated probabilities.
    """
    model.head.weight.div_(temperature)
    model.head.bias.div_(temperature)
