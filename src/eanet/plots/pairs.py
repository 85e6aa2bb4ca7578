"""A sheet of pairs of images that are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eanet.errors import EanetError
from eanet.plots.names import shorten_names
from eanet.plots.style import MUTED, ORANGE, picture, smoothing, write_title

_SIDE = 1.1  # of an image on the sheet, in inches
_GAP = 0.35  # between pairs
_LINE = 0.18
_COLUMNS = 3
_POINTS = 8


class Pair(NamedTuple):
    """Two images.

    Attributes:
        images: pixels of both, each (H, H, 3).
        names: of both.
        note: what else there is to say, or nothing.
    """

    images: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    names: tuple[str, str]
    note: str = ""


def plot_pairs(pairs: Sequence[Pair], path: Path, *, title: str = "") -> Path:
    """Draw pairs of images side by side, with their names below.

    Args:
        pairs: at least one.
        path: the PNG file to write.
        title: shown above the picture.

    Raises:
        EanetError: there are no pairs, or the file cannot be written.
    """
    if not pairs:
        raise EanetError("there is no pair to draw")
    columns = min(_COLUMNS, len(pairs))
    pitch = 2 * _SIDE + _GAP, _SIDE + 4 * _LINE
    sheet = columns * pitch[0] - _GAP, -(-len(pairs) // columns) * pitch[1]
    with picture(path, *sheet, dpi=120) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        named = (name for pair in pairs for name in pair.names)
        names = shorten_names(named, _POINTS, 2 * _SIDE)
        for number, pair in enumerate(pairs):
            row, column = divmod(number, columns)
            left, top = column * pitch[0], row * pitch[1]
            for place, pixels in enumerate(pair.images):
                start = left + place * _SIDE
                axes.imshow(
                    pixels,
                    extent=(start, start + 0.97 * _SIDE, top + 0.97 * _SIDE, top),
                    interpolation=smoothing(len(pixels)),
                    aspect="auto",
                )
            lines = [(names[name], MUTED) for name in pair.names] + [(pair.note, ORANGE)]
            for line, (text, ink) in enumerate(lines, 1):
                axes.text(
                    left, top + _SIDE + line * _LINE - 0.04, text, fontsize=_POINTS, color=ink
                )
        axes.set(xlim=(0, sheet[0]), ylim=(sheet[1], 0))
        axes.axis("off")
        write_title(axes, title, points=8)
    return path
