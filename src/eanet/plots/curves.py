"""Training curves: loss and accuracy by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eanet.errors import EanetError
from eanet.plots.labels import label_ends
from eanet.plots.style import BLUE, BOLD, MUTED, ORANGE, annotate, picture, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class _Curve(NamedTuple):
    column: str  # of the history
    label: str
    colour: str
    style: str


class Panel(NamedTuple):
    """Curves that share their axes."""

    name: str
    curves: tuple[_Curve, ...]
    scale: float
    digits: int  # of the value at the best epoch


LOSS = Panel(
    "Loss",
    (
        _Curve("train_loss", "train", ORANGE, "-"),
        _Curve("val_loss", "validation", BLUE, "-"),
    ),
    scale=1,
    digits=3,
)
ACCURACY = Panel(
    "Accuracy, %",
    (
        _Curve("train_top5", "train top-5", ORANGE, ":"),
        _Curve("val_top5", "validation top-5", BLUE, ":"),
        _Curve("train_accuracy", "train", ORANGE, "-"),
        _Curve("val_accuracy", "validation", BLUE, "-"),
    ),
    scale=100,
    digits=1,
)


def plot_curves(
    history: Sequence[Mapping[str, float]],
    path: Path,
    *,
    title: str = "",
    best_epoch: int | None = None,
    panels: Sequence[Panel] = (LOSS, ACCURACY),
) -> Path:
    """Draw loss and accuracy by epoch.

    Args:
        history: one row per epoch, as in ``history.csv``; ``val_*`` may be missing, values NaN.
        path: the PNG or SVG file to write.
        title: shown above the picture.
        best_epoch: the epoch whose weights were kept; marked in every panel.
        panels: what to draw, from left to right.

    Raises:
        EanetError: the history is empty or lacks ``best_epoch``, or the file cannot be written.
    """
    if not history:
        raise EanetError("there is no finished epoch to draw; train for at least one")
    epochs = np.array([row["epoch"] for row in history], dtype=int)
    if best_epoch is not None and best_epoch not in epochs:
        raise EanetError(
            f"best epoch {best_epoch} is not in the history, which has {epochs[0]} to {epochs[-1]}"
        )
    with picture(path, 4.7 * len(panels), 3.4, dpi=180) as figure:
        row = figure.subplots(1, len(panels), squeeze=False, gridspec_kw={"wspace": 0.46})[0]
        for axes, panel in zip(row, panels, strict=True):
            _draw_panel(axes, panel, history, epochs)
            if best_epoch is not None:
                _mark_best(axes, epochs, best_epoch, panel.digits)
        write_title(row[0], title, points=54)
    return path


def _draw_panel(
    axes: Axes, panel: Panel, history: Sequence[Mapping[str, float]], epochs: NDArray[np.int_]
) -> None:
    """Draw the curves that have any finite value, each with its label at the right edge."""
    ends = []
    for curve in panel.curves:
        values = panel.scale * np.array(
            [row.get(curve.column, np.nan) for row in history], dtype=float
        )
        values[~np.isfinite(values)] = np.nan
        is_idle = curve.column.endswith("top5") and (values == 100).all()  # with up to 5 classes
        if np.isnan(values).all() or is_idle:
            continue
        marker = "o" if len(epochs) <= 12 else ""
        axes.plot(epochs, values, curve.style, color=curve.colour, marker=marker, markersize=5)
        ends.append((curve.label, curve.colour, float(values[~np.isnan(values)][-1])))
    axes.set_title(panel.name, loc="left", pad=27, fontsize=12, **BOLD)
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    margin = 0.02 * (epochs[-1] - epochs[0]) or 0.5
    axes.set_xlim(epochs[0] - margin, epochs[-1] + margin)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    label_ends(axes, ends, gap=0.08)


def _mark_best(axes: Axes, epochs: NDArray[np.int_], best: int, digits: int) -> None:
    """Mark the best epoch on the curve drawn last: validation, or train if there is no other."""
    if not axes.lines:
        return
    curve = axes.lines[-1]
    value = np.asarray(curve.get_ydata())[epochs == best][0]
    axes.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.plot(best, value, "o", color=curve.get_color(), markersize=9, markeredgecolor="white")
    left, right = axes.get_xlim()
    place = (best - left) / (right - left)
    side = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    text, coordinates = f"best epoch {best}: {value:.{digits}f}", ("data", "axes fraction")
    annotate(axes, text, (best, 1), (0, 6), xycoords=coordinates, color=MUTED, ha=side)
