"""What cross-validation says of the accuracy, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eanet.metrics.intervals import CONFIDENCE, interval_of

Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy of one run on the fold that it has not seen, as fractions.

    Attributes:
        fold: its number, from 1.
        images: how many it has.
        top1: share of correct answers.
        low: lower end of the 95 % confidence interval over its images.
        high: upper end.
    """

    fold: int
    images: int
    top1: float
    low: float
    high: float


def fold_accuracies(
    correct: Correct, folds: NDArray[np.int64], groups: NDArray[np.int64] | None = None
) -> list[FoldAccuracy]:
    """Return the accuracy in each fold.

    Args:
        correct: whether each image's answer is right, (n,).
        folds: the fold of each, (n,).
        groups: which images belong together, (n,); None: each is by itself.
    """
    rows = []
    for fold in np.unique(folds).tolist():
        own = folds == fold
        low, high = interval_of(correct[own], None if groups is None else groups[own])
        rows.append(FoldAccuracy(fold, int(own.sum()), float(correct[own].mean()), low, high))
    return rows


def cross_validated_interval(
    correct: Correct, folds: NDArray[np.int64], groups: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """Return a 95 % confidence interval of the accuracy over all folds.

    It is the wider of two. One is over the images: Wilson's interval, for as many images as they
    are worth if those of a group are right or wrong together. The other is over the folds, whose
    trainings differ: the t interval with the correction of Nadeau and Bengio (2003), "Inference for
    the Generalization Error", for runs that share most of their training images. No interval from
    one cross-validation is exact (Bengio and Grandvalet, 2004).

    Args:
        correct: whether each image's answer is right, (n,).
        folds: the fold of each, (n,).
        groups: which images belong together, (n,); None: each is by itself.
    """
    from scipy.stats import t

    share, count = float(correct.mean()), len(np.unique(folds))
    low, high = interval_of(correct, groups)
    spread = float(np.std([correct[folds == fold].mean() for fold in np.unique(folds)], ddof=1))
    error = spread * math.sqrt(1 / count + 1 / (count - 1))
    reach = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * error
    return min(low, max(share - reach, 0.0)), max(high, min(share + reach, 1.0))
