"""Confidence intervals of fractions measured on a limited number of images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
WIDE = 0.1  # width above which an interval is worth a warning


def wilson_interval(correct: float, images: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of ``correct`` out of ``images``, as fractions.

    Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference". Unlike
    the normal approximation, it holds for few images and near 0 and 1. Neither number need be
    whole, as SciPy's `binomtest` asks.
    """
    from scipy.special import ndtri  # here: it takes a while, and not every command needs it

    share, z = correct / images, float(ndtri(0.5 + CONFIDENCE / 2))
    whole = 2 * (images + z**2)
    middle = (2 * images * share + z**2) / whole
    reach = z / whole * math.sqrt(4 * images * share * (1 - share) + z**2)
    # At 0 and 1 the interval ends exactly there, which rounding might miss.
    return middle - reach if correct else 0.0, middle + reach if correct != images else 1.0


def interval_of(
    correct: NDArray[np.bool_], groups: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """Return the 95 % confidence interval of the share of images for which ``correct`` holds.

    It is Wilson's, for as many images as they are worth if those of a group are right or wrong
    together: ten of one patient tell little more than one. Few groups say little of how much they
    agree; this is allowed for as by Korn and Graubard (1998), "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data".

    Args:
        correct: of each image, (n,).
        groups: which images belong together, (n,); None: each is by itself.
    """
    right, images = int(correct.sum()), len(correct)
    if groups is None:
        return wilson_interval(right, images)
    worth = _worth(correct, groups)
    return wilson_interval(right / images * worth if right < images else worth, worth)


def _worth(correct: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """Return as how many images the images of groups count.

    That is their number divided by the design effect (Kish, 1965), which is estimated from the
    groups, with the degrees of freedom of Pan and Wall (2002), "Small-sample adjustments in using
    the sandwich variance estimator in generalized estimating equations": where one group has most
    of the mistakes, they are few.
    """
    from scipy.special import ndtri, stdtrit

    share, images = float(correct.mean()), len(correct)
    _, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    count = len(sizes)
    if count == images:
        return images
    if not 0 < share < 1:  # whether the images of a group agree by chance does not show
        return count
    least = images**2 / float((sizes**2).sum())  # if they always do
    if count == 1:
        return least
    # Squares of the right answers of each group beyond the share
    squares = np.bincount(members, weights=correct - share) ** 2  # (g,)
    total = float(squares.sum())
    effect = max(1.0, count / (count - 1) * total / (images * share * (1 - share)))
    spread = float((squares**2).sum()) - total**2 / count
    is_even = spread * (count - 1) <= 2 * total**2
    freedom = count - 1 if is_even else 2 * total**2 / spread
    p = 0.5 + CONFIDENCE / 2
    return max(least, images / effect * float(ndtri(p) / stdtrit(freedom, p)) ** 2)


def share_with_interval(
    name: str, counted: NDArray[np.bool_], groups: NDArray[np.int64] | None = None
) -> dict[str, float | int]:
    """Return a share under its name, and its interval under ``NAME_low`` and ``NAME_high``.

    Args:
        name: of the share.
        counted: whether each image is of it, (n,).
        groups: as for `interval_of`.
    """
    low, high = interval_of(counted, groups)
    return {name: int(counted.sum()) / len(counted), f"{name}_low": low, f"{name}_high": high}


def difference_interval(
    first: NDArray[np.bool_],
    other: NDArray[np.bool_],
    groups: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """Return the 95 % confidence interval of how much more often ``first`` is right than ``other``.

    Both are about the same images. Newcombe (1998), "Improved confidence intervals for the
    difference between binomial proportions based on paired data", method 10: the ends of Wilson's
    intervals, with the correlation of the answers.

    Args:
        first: whether it is right on each image, (n,).
        other: likewise.
        groups: as for `interval_of`.
    """
    count = len(first)
    both, neither = int((first & other).sum()), int((~first & ~other).sum())
    alone, other_alone = int((first & ~other).sum()), int((~first & other).sum())
    p, q = float(first.mean()), float(other.mean())
    (p_low, p_high), (q_low, q_high) = (interval_of(right, groups) for right in (first, other))
    product = float(both * neither - alone * other_alone)
    if product > 0:
        product = max(product - count / 2, 0)
    of_all = (both + alone) * (neither + other_alone) * (both + other_alone) * (neither + alone)
    correlation = product / math.sqrt(of_all) if of_all else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * correlation * a * b + b * b, 0.0))

    return p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low)


def note_of_few(metrics: Mapping[str, float | int]) -> str | None:
    """Return a warning if an evaluation has too few images for a reliable figure, else None."""
    images, low, high = metrics["images"], metrics["top1_low"], metrics["top1_high"]
    if high - low <= WIDE:
        return None
    few = f"{images:,} images{of_groups(metrics)} are few" if images > 1 else "1 image is few"
    return f"{few}: on others like them, expect a top-1 anywhere from {low:.0%} to {high:.0%}"


def of_groups(metrics: Mapping[str, float | int]) -> str:
    """Return how many groups the images of an evaluation are in, for after their number, or ""."""
    if (groups := metrics.get("groups")) is None:
        return ""
    return f" in {groups:,} groups" if groups > 1 else " in 1 group"


def note_of_guess(metrics: Mapping[str, float | int]) -> str:
    """Return a remark if the top-1 is not shown to be above that of always guessing, else "".

    Args:
        metrics: of an evaluation, with ``top1_low`` and ``majority_baseline``.
    """
    is_better = metrics["top1_low"] > metrics["majority_baseline"]
    return "" if is_better else "; top-1 is not shown to be better"
