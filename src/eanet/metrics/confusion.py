"""Figures of a confusion matrix: shares by class, and its most frequent mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def row_shares(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide each row of a (K, K) confusion matrix by its sum; NaN where a class has no image."""
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.full(matrix.shape, np.nan)
    np.divide(matrix, totals, out=shares, where=totals > 0)
    return shares


def most_confused(
    matrix: NDArray[np.int64], classes: Sequence[str], count: int
) -> list[tuple[str, str, int]]:
    """List the ``count`` most frequent mistakes as (true class, predicted class, images)."""
    mistakes = matrix.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, matrix.shape), strict=True)
    return [(classes[t], classes[p], int(mistakes[t, p])) for t, p in pairs if mistakes[t, p]]
