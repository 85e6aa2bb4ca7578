"""The plot of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eanet.errors import EanetError
from eanet.metrics.confusion import most_confused, row_shares
from eanet.plots.names import shorten_names
from eanet.plots.style import (
    BLUE,
    EMPTY,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    picture,
    text_width,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Most classes at which a cell has room for: count and percentage; count; name at the edge.
_PERCENTAGES, _COUNTS, _NAMES = 8, 25, 120


def plot_confusion(
    matrix: NDArray[np.int64], classes: Sequence[str], path: Path, *, title: str = ""
) -> Path:
    """Draw a confusion matrix: correct in blue, wrong in orange, by share of the true class.

    Args:
        matrix: (K, K) counts; row = true class, column = predicted class.
        classes: the K class names.
        path: the PNG file to write.
        title: shown above the picture.

    Raises:
        EanetError: the matrix does not fit the classes, or the file cannot be written.
    """
    size = len(classes)
    if not size or matrix.shape != (size, size):
        raise EanetError(
            f"a confusion matrix of shape {matrix.shape} does not fit {size} class names; "
            "count it with the classes of the model"
        )
    colours = cell_colours(row_shares(matrix))
    small = size <= _COUNTS
    cell = 1.0 if size <= _PERCENTAGES else 0.56 if small else 0.17
    side = max(3.0, cell * min(size, _NAMES))
    correct, total = int(matrix.trace()), int(matrix.sum())
    summary = f"{correct:,} of {total:,} images correct" + (
        f" ({correct / total:.1%})" if total else ""
    )
    with picture(path, side, side, dpi=150 if small else 110) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(colours, interpolation="nearest" if size <= _NAMES else None)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted class", labelpad=10)
        axes.set_ylabel("true class", labelpad=10)
        _name_classes(axes, classes, side / size)
        if small:
            _write_cells(axes, matrix, colours)
        else:
            _list_mistakes(figure, matrix, classes, side)
        axes.set_title(summary, loc="left", color=MUTED, fontsize=12, pad=12)
        write_title(axes, title, points=37)
    return path


def cell_colours(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour the cells of a matrix of shares, (K, K) -> (K, K, 3): diagonal blue, others orange.

    The depth is the square root of the share, so that a share of 1 % remains visible.
    """
    hue = np.where(np.eye(len(shares), dtype=bool)[..., None], _rgb(BLUE), _rgb(ORANGE))
    colours: NDArray[np.float64] = 1 - np.sqrt(shares)[..., None] * (1 - hue)
    colours[np.isnan(shares)] = _rgb(EMPTY)
    return colours


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _name_classes(axes: Axes, classes: Sequence[str], cell: float) -> None:
    """Name rows and columns, if cells of ``cell`` inches have room."""
    size = len(classes)
    if size > _NAMES:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(visible=True, color=MUTED, linewidth=0.5)  # empty rows have no colour
        return
    points = 11 if size <= _COUNTS else 9
    names = list(shorten_names(classes, points, inches=2.0).values())
    slant: dict[str, Any] = {}
    if size > _COUNTS:
        slant = {"rotation": 90}
    elif max(text_width(name, points) for name in names) > 0.9 * cell:
        slant = {"rotation": 40, "rotation_mode": "anchor", "horizontalalignment": "right"}
    axes.set_xticks(range(size), names, fontsize=points, **slant)
    axes.set_yticks(range(size), names, fontsize=points)
    edges = np.arange(size + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=1 if size <= _COUNTS else 0.5)


def _write_cells(axes: Axes, matrix: NDArray[np.int64], colours: NDArray[np.float64]) -> None:
    """Write the counts into the cells, with percentages if cells are large."""
    shares = row_shares(matrix)
    dark = colours @ (0.299, 0.587, 0.114) < 0.5  # the weights of perceived brightness
    large = len(matrix) <= _PERCENTAGES
    style: dict[str, Any] = {"fontsize": 12 if large else 10, "ha": "center", "va": "center"}
    for (row, column), count in np.ndenumerate(matrix):
        share = shares[row, column]
        if np.isnan(share):
            continue
        text = f"{count:,}\n{share:.1%}" if large else f"{count:,}"
        colour = "white" if dark[row, column] else INK if count else "#b8c0c9"
        axes.text(column, row, text, color=colour, **style)
    for row in np.flatnonzero(np.isnan(shares[:, 0])).tolist():
        axes.text((len(matrix) - 1) / 2, row, "no images", color=MUTED, **style)


def _list_mistakes(
    figure: Figure, matrix: NDArray[np.int64], classes: Sequence[str], side: float
) -> None:
    """List the most frequent mistakes beside a matrix of ``side`` inches, each on a bar."""
    rows = int(side / 0.42)
    pairs = most_confused(matrix, classes, rows)
    axes = figure.add_axes((1 + 0.5 / side, 0, 5.2 / side, 1))
    axes.barh(range(len(pairs)), [count for *_, count in pairs], color="#fbe3d0", height=0.8)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel(
        "correct in blue, wrong in orange,\ndarker for a larger share of the true class",
        loc="left",
        labelpad=10,
        linespacing=1.5,
    )
    axes.set_title("most frequent mistakes", loc="left", color=MUTED, fontsize=12, pad=12)
    shown = shorten_names([name for pair in pairs for name in pair[:2]], 12, 1.8)
    for row, (true, predicted, count) in enumerate(pairs):
        text = f" {count:,}   {shown[true]}  taken for  {shown[predicted]}"
        axes.text(0, row, text, fontsize=12, verticalalignment="center_baseline")
