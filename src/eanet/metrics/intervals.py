"""Confidence intervals of fractions measured on a limited number of images."""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95
WIDE = 0.1  # width above which an interval is worth a warning
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def wilson(right: int, images: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of ``right`` out of ``images``, as fractions.

    Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference". Unlike
    the normal approximation, it holds for few images and near 0 and 1.
    """
    share, weight = right / images, _Z**2 / images
    centre = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    # At 0 and 1 the interval ends exactly there, which rounding might miss.
    low = 0.0 if right == 0 else centre - reach
    high = 1.0 if right == images else centre + reach
    return low, high


def note_of_few(images: int, low: float, high: float) -> str | None:
    """Return a warning if there are too few images for a reliable figure, else None."""
    if high - low <= WIDE:
        return None
    few = f"{images:,} images are few" if images > 1 else "1 image is few"
    return f"{few}: on others like them, expect a top-1 anywhere from {low:.0%} to {high:.0%}"
