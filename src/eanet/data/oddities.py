"""Find images unlike the others of their data set, which often do not belong to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eanet.data.decode import Original

FEWEST = 20  # images; with fewer, nothing counts as usual
RARE, MOST = 0.02, 20  # share and number of images above which a trait is not odd
ELONGATED = 3  # longer side / shorter side; the crop to a square drops two thirds
SMALL = 0.25  # shorter side / its median

Rule = tuple[NDArray[np.bool_], Callable[[Original], str]]


def find_odd(originals: Sequence[Original]) -> dict[int, str]:
    """Find images that are blank, or differ from nearly all others in format, size or shape.

    Stray logos, icons, screenshots and placeholders are found this way. A trait that more than a
    few images share is not odd.

    Returns:
        The index of each odd image, with the reasons in a few words.
    """
    if len(originals) < FEWEST:
        return {}
    told: dict[int, list[str]] = {}
    for is_odd, describe in _rules(originals):
        if is_odd.sum() <= max(1, min(RARE * len(originals), MOST)):
            for index in np.flatnonzero(is_odd).tolist():
                told.setdefault(index, []).append(describe(originals[index]))
    return {index: ", ".join(reasons) for index, reasons in sorted(told.items())}


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
        lambda image: f"{_size(image)}, cropped to the central square",
    )
    yield (
        shorter < SMALL * median,
        lambda image: f"{_size(image)}, where the shorter side is usually about {median:,}",
    )
    yield blank, lambda _: "a single colour"


def _size(image: Original) -> str:
    return f"{image.width:,} x {image.height:,} pixels"
