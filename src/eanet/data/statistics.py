"""Statistics of the user's own images that are known before they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    """

    images: int
    classes: int
    side: int


def image_statistics(layout: Layout) -> ImageStatistics:
    """Count the training images of a layout, and read the headers of some."""
    classes = layout.splits["train"].images
    files = [file for of_class in classes.values() for file in of_class]
    sample = np.linspace(0, len(files) - 1, min(SAMPLE, len(files))).astype(int)
    side = _median_side([files[index] for index in sample])
    return ImageStatistics(len(files), len(classes), side)


def _median_side(files: Sequence[Path]) -> int:
    """Return the median of the shorter sides of the readable files; 0 if there are none."""
    sides = []
    for file in files:
        try:
            with open_image(file) as image:
                sides.append(min(image.size))
        except Exception:  # damaged bytes make Pillow raise nearly anything; reported on decoding
            continue
    return round(float(np.median(sides))) if sides else 0
