"""The plot of an explanation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eanet.explanation.explain import Explanation, LayerMaps
from eanet.explanation.neighbours import Neighbour
from eanet.explanation.occlusion import DRAWS
from eanet.plots.names import shorten, shorten_names
from eanet.plots.style import BOLD, INK, MUTED, picture, smoothing, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = "viridis"  # perceptually uniform, also for the colour-blind

_COLUMNS = 6
_SMALL, _GAP = 1.55, 0.15  # side of a slot's map and gap between two, in inches
_LARGE = 2 * _SMALL + _GAP
_WIDTH = _COLUMNS * (_SMALL + _GAP) - _GAP
_CAPTION = 0.3  # the line below an image
_HEADING = 0.8  # above the maps of the slots
_SCALE = _SMALL  # length of the colour scale
_OPACITY = 0.75  # of a map
_POINTS = 10
_LINE = 0.2
_LETTERS = 44  # per line of the text beside the images


class _Sheet:
    """A figure with positions in inches from its upper left corner."""

    def __init__(self, figure: Figure, height: float) -> None:
        self.figure, self.height = figure, height
        self.axes = self.panel(0, 0, _WIDTH, height)
        self.axes.set(xlim=(0, _WIDTH), ylim=(height, 0))

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        corner = (left / _WIDTH, 1 - (top + height) / self.height)
        axes = self.figure.add_axes((*corner, width / _WIDTH, height / self.height))
        axes.axis("off")
        return axes

    def write(self, left: float, top: float, text: str, **font: Any) -> None:
        """Write lines of text, the first of them ``top`` inches down."""
        for number, line in enumerate(text.split("\n")):
            font = {"fontsize": _POINTS} | font
            self.axes.text(left, top + number * _LINE, line, **font)


def plot_explanation(explanation: Explanation, path: Path, *, name: str) -> Path:
    """Draw the input, what the class depends on, and what the strongest units attend to.

    Args:
        explanation: of the image.
        path: the PNG file to write.
        name: of the image.

    Raises:
        EanetError: the file cannot be written.
    """
    maps = explanation.maps
    rows = -(-len(maps.strongest) // _COLUMNS) if maps else 0
    height = _LARGE + _CAPTION + (_HEADING if maps else _CAPTION) + rows * (_SMALL + _CAPTION)
    alike = explanation.neighbours
    top_of_alike, height = height, height + _height_of(alike)
    with picture(path, _WIDTH, height, dpi=120) as figure:
        sheet = _Sheet(figure, height)
        size = len(explanation.pixels)
        _show(sheet.panel(0, 0, _LARGE, _LARGE), explanation.pixels)
        sheet.write(0, _LARGE + 0.2, f"input of {explanation.model}: {size} x {size} pixels")
        _draw_regions(sheet, explanation)
        if maps is None:
            note = "No attention to show: the model has none, or PyTorch does not compute it."
            sheet.write(0, top_of_alike - 0.05, note, color=MUTED)
        else:
            _draw_units(sheet, explanation.pixels, maps)
        _draw_neighbours(sheet, alike, top_of_alike)
        answer = shorten(explanation.predicted, 15, _LARGE)
        title = f"{shorten(name, 15, _LARGE)}: {answer}, {explanation.confidence:.1%}"
        write_title(sheet.axes, title, points=14)
    return path


def _show(axes: Axes, pixels: NDArray[np.uint8], **options: Any) -> None:
    size = len(pixels)
    axes.imshow(pixels, extent=(0, size, size, 0), interpolation=smoothing(size), **options)


def _lay_over(
    axes: Axes, pixels: NDArray[np.uint8], values: NDArray[np.float32], side: int
) -> None:
    """Draw a map, from 0 to its highest value, over the image in pale grey.

    Args:
        axes: where to draw.
        pixels: (H, H, 3).
        values: (g, g), 0 or more.
        side: of the square that a value stands for, in pixels.
    """
    size, edge = len(pixels), side * len(values)
    _show(axes, pixels.mean(axis=2).astype(np.uint8), cmap="gray", vmin=-200, vmax=355)
    axes.imshow(
        values,
        extent=(0, edge, edge, 0),
        cmap=COLOURS,
        vmin=0,
        vmax=max(values.max(), 1e-12),
        alpha=_OPACITY,
        interpolation="nearest",
    )
    axes.set(xlim=(0, size), ylim=(size, 0))


def _draw_regions(sheet: _Sheet, explanation: Explanation) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    regions = explanation.regions
    # A name that is written from right to left would turn the line that its second half begins.
    name = f"“{shorten(explanation.explained, _POINTS, 1.2)}”".replace(" ", "\N{NO-BREAK SPACE}")
    axes = sheet.panel(_LARGE + _GAP, 0, _LARGE, _LARGE)
    _lay_over(axes, explanation.pixels, regions.losses.clip(min=0), regions.side)
    for row, column in np.argwhere(regions.strongest):
        x, y = column * regions.side, row * regions.side
        width, height = (min(regions.side, len(explanation.pixels) - at) for at in (x, y))
        frame = Rectangle((x, y), width, height, fill=False, edgecolor="white", clip_on=False)
        frame.set_path_effects([withStroke(linewidth=4, foreground=INK)])
        axes.add_patch(frame)
    sheet.write(_LARGE + _GAP, _LARGE + 0.2, f"what {name} rests on, by occlusion")

    count = int(regions.strongest.sum())
    what = _wrapped(
        f"Each square is hidden alone under the mean colour. Its colour here shows how many "
        f"percentage points of the {explanation.probability:.1%} for {name} that costs:"
    )
    check = _wrapped(
        f"Check: the {count} outlined squares hidden together leave "
        f"{regions.without_strongest:.1%}; as many at random leave "
        f"{regions.without_random:.1%} (mean of {DRAWS} draws)."
        if count
        else "Hiding any one square costs none."
    )
    left, top = 2 * (_LARGE + _GAP), 0.15
    sheet.write(left, top, what)
    below = top + _LINE * (what.count("\n") + 1)
    most = f"{100 * max(regions.losses.max(), 0):.2g}"
    _draw_scale(sheet, left, below, "0", f"{'100' if most == '1e+02' else most} points")
    sheet.write(left, below + 0.75, check)


def _draw_scale(sheet: _Sheet, left: float, top: float, low: str, high: str) -> None:
    """Draw the colour scale, with labels for the lowest and the highest value."""
    ramp = sheet.panel(left, top, _SCALE, 0.14)
    ramp.imshow(np.linspace(0, 1, 256)[None], cmap=COLOURS, alpha=_OPACITY, aspect="auto")
    sheet.write(left, top + 0.32, low, color=MUTED)
    sheet.write(left + _SCALE, top + 0.32, high, color=MUTED, ha="right")


def _draw_units(sheet: _Sheet, pixels: NDArray[np.uint8], maps: LayerMaps) -> None:
    shown = len(maps.strongest)
    kind = "slot" if maps.has_slots else "head"
    what = "memory slots" if maps.has_slots else "attention heads"
    heading = f"What the strongest {what} attend to"
    of = f"{shown} of {maps.units}" if shown < maps.units else f"all {maps.units}"
    top = _LARGE + _CAPTION + 0.3
    sheet.write(0, top, f"{heading} ({of}; block {maps.block} of {maps.blocks})", **BOLD)
    note = (
        f"Per cent: the {kind}'s share of how the layer's result varies over the image "
        f"(if all were equal: {1 / maps.units:.1%})"
    )
    sheet.write(0, top + 0.25, note, color=MUTED)
    _draw_scale(sheet, _WIDTH - _SCALE, top - 0.1, "none", "the most")
    for number, unit in enumerate(maps.strongest):
        row, column = divmod(number, _COLUMNS)
        left = column * (_SMALL + _GAP)
        above = _LARGE + _CAPTION + _HEADING + row * (_SMALL + _CAPTION)
        axes = sheet.panel(left, above, _SMALL, _SMALL)
        _lay_over(axes, pixels, unit.weights, maps.token_side)
        at = above + _SMALL + 0.2
        sheet.write(left, at, unit.name)
        sheet.write(left + _SMALL, at, f"{unit.share:.1%}", color=MUTED, ha="right")


def _height_of(neighbours: Sequence[Neighbour]) -> float:
    rows = -(-len(neighbours) // _COLUMNS)
    return _HEADING + rows * (_SMALL + _CAPTION) if rows else 0.0


def _draw_neighbours(sheet: _Sheet, neighbours: Sequence[Neighbour], top: float) -> None:
    if not neighbours:
        return
    sheet.write(0, top + 0.3, "The training images most like it to the model", **BOLD)
    note = "Cosine of the features before the last layer: 1 for the same image"
    sheet.write(0, top + 0.55, note, color=MUTED)
    names = shorten_names((neighbour.class_name for neighbour in neighbours), _POINTS, _SMALL - 0.5)
    for number, neighbour in enumerate(neighbours):
        row, column = divmod(number, _COLUMNS)
        left = column * (_SMALL + _GAP)
        above = top + _HEADING + row * (_SMALL + _CAPTION)
        _show(sheet.panel(left, above, _SMALL, _SMALL), neighbour.pixels)
        at = above + _SMALL + 0.2
        sheet.write(left, at, names[neighbour.class_name])
        similarity = f"{neighbour.similarity:.2f}"
        sheet.write(left + _SMALL, at, similarity, color=MUTED, ha="right")


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _LETTERS))
