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


def share_with_interval(name: str, count: int, images: int) -> dict[str, float | int]:
    """Return a share under its name, and its interval under ``NAME_low`` and ``NAME_high``."""
    low, high = wilson_interval(count, images)
    return {name: count / images, f"{name}_low": low, f"{name}_high": high}


def difference_interval(first: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the 95 % confidence interval of how much more often ``first`` is right than ``other``.

    Both are about the same images. Newcombe (1998), "Improved confidence intervals for the
    difference between binomial proportions based on paired data", method 10: the ends of Wilson's
    intervals, with the correlation of the answers.

    Args:
        first: whether it is right on each image, (n,).
        other: likewise.
    """
    count = len(first)
    both, neither = int((first & other).sum()), int((~first & ~other).sum())
    alone, other_alone = int((first & ~other).sum()), int((~first & other).sum())
    p, q = float(first.mean()), float(other.mean())
    (p_low, p_high), (q_low, q_high) = (
        wilson_interval(int(right.sum()), count) for right in (first, other)
    )
    product = float(both * neither - alone * other_alone)
    if product > 0:
        product = max(product - count / 2, 0)
    of_all = (both + alone) * (neither + other_alone) * (both + other_alone) * (neither + alone)
    correlation = product / math.sqrt(of_all) if of_all else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * correlation * a * b + b * b, 0.0))

    return p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low)


def note_of_few(images: int, low: float, high: float) -> str | None:
    """Return a warning if there are too few images for a reliable figure, else None."""
    if high - low <= WIDE:
        return None
    few = f"{images:,} images are few" if images > 1 else "1 image is few"
    return f"{few}: on others like them, expect a top-1 anywhere from {low:.0%} to {high:.0%}"


def note_of_guess(metrics: Mapping[str, float | int]) -> str:
    """Return a remark if the top-1 is not shown to be above that of always guessing, else "".

    Args:
        metrics: of an evaluation, with ``top1_low`` and ``majority_baseline``.
    """
    is_better = metrics["top1_low"] > metrics["majority_baseline"]
    return "" if is_better else "; top-1 is not shown to be better"
