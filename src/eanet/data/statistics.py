"""Statistics of the user's own images that are known before they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eanet.data.evenly import evenly
from eanet.data.formats import open_image
from eanet.data.layout import Layout

SAMPLE = 100  # files whose image size is read, spread evenly over all


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of the training images, before some are set aside for validation and testing.

    Attributes:
        images: number of images.
        classes: number of classes.
        side: median of the shorter sides of the images, in pixels; 0 if none can be read.
        longer: median of the longer sides.
        cropped: share of the median image that lies outside its central square.
        halved: share of the images of which the central square is no more than half.
    """

    images: int
    classes: int
    side: int
    longer: int = 0
    cropped: float = 0.0
    halved: float = 0.0


def image_statistics(layout: Layout) -> ImageStatistics:
    """Count the training images of a layout, and read the headers of some."""
    classes = layout.splits["train"].images
    files = [file for of_class in classes.values() for file in of_class]
    sizes = _sizes(evenly(files, SAMPLE))
    if not sizes:
        return ImageStatistics(len(files), len(classes), 0)
    sides = np.sort(np.array(sizes), axis=1)  # (n, 2), the shorter first
    shorter, longer = (round(float(side)) for side in np.median(sides, axis=0))
    square = sides[:, 0] / sides[:, 1]
    return ImageStatistics(
        len(files),
        len(classes),
        shorter,
        longer,
        cropped=1 - float(np.median(square)),
        halved=float(np.mean(square <= 0.5)),
    )


def _sizes(files: Sequence[Path]) -> list[tuple[int, int]]:
    """Return width and height of the readable files."""
    sizes = []
    for file in files:
        try:
            with open_image(file) as image:
                sizes.append(image.size)
        except Exception:  # damaged bytes make Pillow raise nearly anything; reported on decoding
            continue
    return sizes
