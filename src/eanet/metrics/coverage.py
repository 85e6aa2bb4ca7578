"""Accuracy by the share of images that are answered: selective classification.

Geifman and El-Yaniv (2017), "Selective Classification for Deep Neural Networks", arXiv 1705.08500.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eanet.metrics.intervals import interval_of

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Answered:
    """What is left if a model only answers where it is sure.

    Attributes:
        threshold: lowest probability that is answered.
        images: number of images answered.
        coverage: their share of all images.
        accuracy: share of correct answers among them; NaN without any.
        low: lower end of its 95 % confidence interval.
        high: upper end.
    """

    threshold: float
    images: int
    coverage: float
    accuracy: float
    low: float
    high: float


def answered_above(
    certainty: NDArray[np.float32],
    correct: NDArray[np.bool_],
    thresholds: Sequence[float] = THRESHOLDS,
    groups: NDArray[np.int64] | None = None,
) -> list[Answered]:
    """Return coverage and accuracy at each threshold.

    Args:
        certainty: probability of each image's answer, (n,).
        correct: whether it is right, (n,).
        thresholds: lowest probabilities to answer.
        groups: which images belong together, (n,); None: each is by itself.
    """
    rows = []
    for threshold in thresholds:
        is_kept = certainty >= threshold
        kept, own = correct[is_kept], None if groups is None else groups[is_kept]
        low, high = interval_of(kept, own) if len(kept) else (np.nan, np.nan)
        accuracy = float(kept.mean()) if len(kept) else np.nan
        rows.append(Answered(threshold, len(kept), len(kept) / len(correct), accuracy, low, high))
    return rows


def accuracy_by_coverage(
    certainty: NDArray[np.float32], correct: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shares of answered images, rising to 1, and the accuracy at each, (m,) both.

    Images of the same certainty are answered together or not at all.

    Args:
        certainty: of each image, (n,); only its order matters.
        correct: whether the answer is right, (n,).
    """
    order = np.argsort(-certainty, kind="stable")
    ranked = certainty[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    answered = last + 1
    return answered / len(ranked), np.cumsum(correct[order])[last] / answered
