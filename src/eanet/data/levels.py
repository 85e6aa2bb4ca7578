"""Deep grey images: integers of more than 8 bits, and floats, of which a set rarely uses all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.data.formats import open_image
from eanet.data.passing import raise_passing
from eanet.data.turns import PIXELS

BITS = (8, 10, 12, 14, 16)  # of cameras and scanners, which write all but the first as 16
DARK = 64.0  # of 255: floats that all lie below are of another scale, such as 0 to 16
CHUNK = 1 << 20  # pixels converted at a time, which bounds the memory
ENOUGH = 1 << 16  # pixels from which the central range of a large image is taken


class Depth(NamedTuple):
    """The values of one deep image: lowest and highest, and between which all but 0.2 % lie."""

    low: float
    central_low: float
    central_high: float
    high: float
    is_float: bool


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has one channel of more than 8 bits, without decoding it."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def measure_depth(grey: NDArray[np.integer | np.floating]) -> Depth:
    """Measure the values of a deep image, (H, W), without those that are not finite."""
    values = np.ravel(grey)
    is_float = values.dtype.kind == "f"
    if is_float:
        values = values[np.isfinite(values)]
    if not values.size:
        return Depth(0, 0, 0, 0, is_float)
    some = values[:: max(1, values.size // ENOUGH)]
    low, high = np.quantile(some, (0.001, 0.999))
    if not is_float:
        low, high = np.floor(low), np.ceil(high)
    return Depth(float(values.min()), float(low), float(high), float(values.max()), is_float)


def eight_bits(
    grey: NDArray[np.integer | np.floating], depth: Depth, levels: tuple[float, float] | None
) -> NDArray[np.uint8]:
    """Scale a deep image, (H, W), to 0..255; Pillow's own conversion clips.

    Args:
        grey: its values; those that are not finite count as 0.
        depth: what `measure_depth` found.
        levels: as in `eanet.model_files.preprocessing.Preprocessing`.
    """
    low, high = levels or _own_levels(depth)
    result = np.empty(grey.shape, dtype=np.uint8)
    rows = max(1, CHUNK // max(1, grey.shape[1]))
    for start in range(0, len(grey), rows):
        values = grey[start : start + rows].astype(np.float64)
        values = np.where(np.isfinite(values), values, 0)
        result[start : start + rows] = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255)
    return result


def _own_levels(depth: Depth) -> tuple[float, float]:
    for top in (1.0, 255.0) if depth.is_float else (65535.0,):
        if depth.low >= 0 and depth.high <= top:
            return 0.0, top
    return depth.low, depth.high if depth.high > depth.low else depth.low + 1


def used_levels(depths: Iterable[Depth]) -> tuple[float, float] | None:
    """Return the range that the images of a set use: 0 to a number of bits where that fits.

    Floats within 0..1 or -1..1 use these; those from 0 to far less than 255, and what fits
    nothing, their own range. None: none is deep.
    """
    found = list(depths)
    if not found:
        return None
    low, high = min(depth.low for depth in found), max(depth.high for depth in found)
    if all(depth.is_float for depth in found):
        if high <= 1 and low >= -1:
            return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
        if low >= 0 and 0 < high < DARK:
            return 0.0, high
    if low >= 0:
        for bits in BITS:
            if high < 2**bits:
                return 0.0, float(2**bits - 1)
    return low, high if high > low else low + 1


def central_range(depths: Sequence[Depth]) -> tuple[float, float]:
    """Return the range of a set without the darkest and brightest few pixels of each image."""
    return min(depth.central_low for depth in depths), max(d.central_high for d in depths)


def describe_levels(levels: tuple[float, float]) -> str:
    """Name a range, such as "0 to 4,095 (12 of 16 bits)"."""
    low, high = levels
    text = f"{low:,.6g} to {high:,.6g}"
    bits = next((b for b in BITS if low == 0 and high == 2**b - 1), None)
    return text if bits is None else f"{low:,.0f} to {high:,.0f} ({bits} of 16 bits)"


def read_depth(file: Path) -> Depth | None:
    """Return the depth of an image file; None if it is not deep, or damaged.

    Raises:
        EanetError: as for `raise_passing`.
    """
    try:
        with open_image(file) as image:
            if not is_deep(image):
                return None
            with PIXELS.taken(image.width * image.height):
                return measure_depth(np.asarray(image))
    except Exception as error:  # damaged bytes make Pillow raise nearly anything
        raise_passing(file, error)
        return None  # which is reported on decoding
