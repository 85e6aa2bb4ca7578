"""Confidence intervals of fractions measured on a limited number of images."""

from __future__ import annotations

CONFIDENCE = 0.95
WIDE = 0.1  # width above which an interval is worth a warning


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of ``correct`` out of ``images``, as fractions.

    Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference". Unlike
    the normal approximation, it holds for few images and near 0 and 1.
    """
    from scipy.stats import binomtest  # here: it takes a second, and not every command needs it

    interval = binomtest(correct, images).proportion_ci(CONFIDENCE, method="wilson")
    # At 0 and 1 the interval ends exactly there, which rounding might miss.
    low = 0.0 if correct == 0 else float(interval.low)
    high = 1.0 if correct == images else float(interval.high)
    return low, high


def share_with_interval(name: str, count: int, images: int) -> dict[str, float | int]:
    """Return a share under its name, and its interval under ``NAME_low`` and ``NAME_high``."""
    low, high = wilson_interval(count, images)
    return {name: count / images, f"{name}_low": low, f"{name}_high": high}


def note_of_few(images: int, low: float, high: float) -> str | None:
    """Return a warning if there are too few images for a reliable figure, else None."""
    if high - low <= WIDE:
        return None
    few = f"{images:,} images are few" if images > 1 else "1 image is few"
    return f"{few}: on others like them, expect a top-1 anywhere from {low:.0%} to {high:.0%}"
