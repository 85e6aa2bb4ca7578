"""Find images unlike the others of their data set, which often do not belong to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eanet.data.decode import Original

MIN_IMAGES = 20  # with fewer, nothing counts as usual
MAX_SHARE, MAX_COUNT = 0.02, 20  # of images with a trait; one that more images share is usual
ELONGATED = 3  # longer side / shorter side; the crop to a square drops two thirds
SMALL = 0.25  # shorter side / its median

Rule = tuple[NDArray[np.bool_], Callable[[Original], str]]
"""Which images have a trait, (n,), and a function that words it for one of them."""


def find_outliers(originals: Sequence[Original]) -> dict[int, str]:
    """Find images that are blank, or differ from nearly all others in format, size or shape.

    Stray logos, icons, screenshots and placeholders are examples.

    Returns:
        The index of each outlier, with the reasons in a few words.
    """
    if len(originals) < MIN_IMAGES:
        return {}
    reasons: dict[int, list[str]] = {}
    for has_trait, reason in _rules(originals):
        if has_trait.sum() <= max(1, min(MAX_SHARE * len(originals), MAX_COUNT)):
            for index in np.flatnonzero(has_trait).tolist():
                reasons.setdefault(index, []).append(reason(originals[index]))
    return {index: ", ".join(texts) for index, texts in sorted(reasons.items())}


def _rules(originals: Sequence[Original]) -> Iterator[Rule]:
    formats = np.array([original.format for original in originals])
    usual = Counter(formats.tolist()).most_common(1)[0][0]
    sides = np.array([(original.width, original.height) for original in originals])  # (n, 2)
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    median = round(float(np.median(shorter)))
    blank = np.array([original.blank for original in originals])
    yield formats != usual, lambda image: f"{image.format}, where nearly all are {usual}"
    yield (
        longer > ELONGATED * shorter,
        lambda image: f"{_size(image)}, over {ELONGATED} times as long as wide",
    )
    yield (
        shorter < SMALL * median,
        lambda image: f"{_size(image)}, where the shorter side is usually about {median:,}",
    )
    yield blank, lambda _: "a single colour"


def _size(image: Original) -> str:
    return f"{image.width:,} x {image.height:,} pixels"
