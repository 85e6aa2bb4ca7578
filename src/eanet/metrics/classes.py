"""Precision, recall and F1 by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eanet.metrics.intervals import interval_of


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class, as fractions.

    Attributes:
        name: of the class.
        support: number of images of the class.
        precision: fraction of the predictions of this class that are correct; 0 if there are none.
        recall: fraction of the images of this class that are found; NaN if there are none.
        f1: harmonic mean of the two; NaN if there are no images of the class.
        recall_low: lower end of the 95 % interval of the recall; NaN if there are no images.
        recall_high: upper end.
    """

    name: str
    support: int
    precision: float
    recall: float
    f1: float
    recall_low: float
    recall_high: float


def class_figures(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: Sequence[str],
    groups: NDArray[np.int64] | None = None,
) -> list[ClassFigures]:
    """Compute precision, recall with its interval, and F1 of each class.

    Args:
        labels: (n,) true classes.
        predicted: (n,) predicted classes.
        classes: the K class names.
        groups: which images belong together, (n,); None: each is by itself.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(len(classes)), zero_division=0
    )
    recall[support == 0] = f1[support == 0] = np.nan
    intervals = []
    for label, images in enumerate(support):
        of_class = labels == label
        own = None if groups is None else groups[of_class]
        found = predicted[of_class] == label
        intervals.append(interval_of(found, own) if images else (np.nan, np.nan))
    low, high = zip(*intervals, strict=True)
    figures = (support.astype(int).tolist(), precision.tolist(), recall.tolist(), f1.tolist())
    return [ClassFigures(*row) for row in zip(classes, *figures, low, high, strict=True)]


def macro_averages(figures: Sequence[ClassFigures]) -> tuple[float, float, float]:
    """Return the means of precision, recall and F1 over the classes that have images."""
    rows = [(row.precision, row.recall, row.f1) for row in figures if row.support]
    precision, recall, f1 = np.mean(rows, axis=0).tolist()
    return precision, recall, f1
