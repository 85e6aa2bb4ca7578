"""Images unlike the others of their data set, which often do not belong to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eanet.data.decode import Original

FEWEST = 20  # images; among fewer, nothing is usual
RARE, MOST = 0.02, 20  # the share of the images and their number beyond which nothing is odd
ELONGATED = 3  # the longer side by the shorter: cut to a square, two thirds are gone
SMALL = 0.25  # the shorter side by its median

Rule = tuple[NDArray[np.bool_], Callable[[Original], str]]


def find_odd(originals: Sequence[Original]) -> dict[int, str]:
    """What is odd about which images: another kind of file, size or shape than nearly all others.

    A stray logo, icon, screenshot or placeholder shows itself so. Whatever more than a few
    images have in common is not odd.

    Returns:
        The index of each odd image, and the reasons in a few words.
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
