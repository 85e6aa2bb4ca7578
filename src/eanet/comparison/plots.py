"""Comparison plots: accuracy by epoch, by time and by parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eanet.comparison.entries import Entry
from eanet.console import short
from eanet.plots.labels import label_ends
from eanet.plots.style import BOLD, SERIES, picture, text_width, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BY_EPOCH, BY_TIME = "epoch", "time"
WIDTH = 4.7  # of a panel, in inches
SETTLED = 1 / 3  # first part of a training, which the y-limits ignore
STYLES = ("-", "--", ":")
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


class _Curve(NamedTuple):
    name: str
    colour: str
    style: str
    seeds: list[tuple[NDArray[np.float64], NDArray[np.float64]]]  # x and y of each seed

    @property
    def mean(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean over the seeds, up to the end of the shortest curve."""
        length = min(len(x) for x, _ in self.seeds)
        x, y = (np.mean([pair[i][:length] for pair in self.seeds], axis=0) for i in (0, 1))
        return x, y


def has_curves(entries: Sequence[Entry]) -> bool:
    """Whether there is any validation accuracy to draw."""
    return any("val_accuracy" in row for e in entries for run in e.runs for row in run.history)


def plot_progress(
    entries: Sequence[Entry],
    path: Path,
    *,
    title: str = "",
    panels: Sequence[str] = (BY_EPOCH, BY_TIME),
) -> Path:
    """Draw the validation accuracy of each model: the mean over its seeds, and each seed faintly.

    The y-limits fit the last two thirds of each training, where the models diverge.

    Args:
        entries: the models; at least one run has a validation accuracy.
        path: the PNG or SVG file to write.
        title: shown above the picture.
        panels: what to draw it against, from left to right; only the last panel has labels.

    Raises:
        EanetError: the file cannot be written.
    """
    with picture(path, WIDTH * len(panels), 4.0, dpi=180) as figure:
        row = figure.subplots(1, len(panels), squeeze=False, gridspec_kw={"wspace": 0.16})[0]
        for axes, panel in zip(row, panels, strict=True):
            _draw_progress(axes, entries, panel, labels=axes is row[-1])
        write_title(row[0], title, points=34)
    return path


def _draw_progress(axes: Axes, entries: Sequence[Entry], panel: str, *, labels: bool) -> None:
    longest = max(run.seconds for entry in entries for run in entry.runs)
    unit, size = next(u for u in UNITS if longest >= 2 * u[1] or u[1] == 1)
    curves = _curves(entries, panel, size)
    for curve in curves:
        for x, y in curve.seeds if len(curve.seeds) > 1 else ():
            axes.plot(x, y, curve.style, color=curve.colour, linewidth=1, alpha=0.3)
        x, y = curve.mean
        marker = "o" if len(x) <= 12 else ""
        axes.plot(x, y, curve.style, color=curve.colour, marker=marker, markersize=5)
    settled = [y[int(SETTLED * len(y)) :] for curve in curves for _, y in curve.seeds]
    low, high = min(map(np.min, settled)), max(map(np.max, settled))
    margin = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    end = max(x[-1] for curve in curves for x, _ in curve.seeds)
    start = 1 if panel == BY_EPOCH else 0
    axes.set_xlim(start - 0.02 * end, end + 0.02 * end)
    axes.locator_params(axis="x", integer=panel == BY_EPOCH, min_n_ticks=1)
    axes.set_xlabel("epoch" if panel == BY_EPOCH else f"{unit} of training and validation")
    axes.set_title("Validation accuracy, %", loc="left", pad=10, fontsize=12, **BOLD)
    axes.grid(axis="y")
    if labels:
        _label(axes, [(c.name, c.colour, float(c.mean[1][-1])) for c in curves])


def _curves(entries: Sequence[Entry], panel: str, unit: float) -> list[_Curve]:
    curves = []
    for number, entry in enumerate(entries):
        seeds = []
        for run in entry.runs:
            rows = [row for row in run.history if "val_accuracy" in row]
            y = 100 * np.array([row["val_accuracy"] for row in rows])
            if panel == BY_EPOCH:
                x = np.array([row["epoch"] for row in rows], dtype=float)
            else:
                x = np.cumsum([row["seconds"] for row in rows]) / unit
            if rows:
                seeds.append((x, y))
        if seeds:
            curves.append(_Curve(entry.name, *_look(number), seeds))
    return curves


def plot_parameters(entries: Sequence[Entry], path: Path, *, title: str = "") -> Path:
    """Draw each model's test accuracy by its parameters: the mean over its seeds, and each seed.

    Args:
        entries: the models; at least one has a run.
        path: the PNG or SVG file to write.
        title: shown above the picture.

    Raises:
        EanetError: the file cannot be written.
    """
    from matplotlib.ticker import NullFormatter, NullLocator

    with picture(path, WIDTH, 4.0, dpi=180) as figure:
        axes = figure.subplots()
        drawn = [(*_look(i)[:1], entry) for i, entry in enumerate(entries) if entry.runs]
        for colour, entry in drawn:
            single = [100 * run.top1 for run in entry.runs]
            if len(single) > 1:
                places = [entry.parameters] * len(single)
                axes.plot(places, single, "o", color=colour, markersize=5, alpha=0.35, mew=0)
            axes.plot(entry.parameters, np.mean(single), "o", color=colour, markersize=9)
        sizes = sorted({entry.parameters for _, entry in drawn})
        axes.set_xscale("log")
        axes.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
        axes.set_xticks(sizes, _in_rows(axes, sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(y=0.12)
        axes.set_xlabel("parameters")
        axes.set_title("Top-1 on the test images, %", loc="left", pad=10, fontsize=12, **BOLD)
        axes.grid(axis="y")
        _label(axes, [(e.name, colour, 100 * e.mean("top1")) for colour, e in drawn])
        write_title(axes, title, points=34)
    return path


def _in_rows(axes: Axes, sizes: Sequence[int]) -> list[str]:
    """Label sizes in as many rows as it takes for none to cover another; the scale is final."""
    to_axes = axes.transData + axes.transAxes.inverted()
    inches = axes.get_position().width * WIDTH
    ends: list[float] = []  # of the last label in each row
    labels = []
    for size in sizes:
        text = short(size)
        width = (text_width(text, 11) + 0.1) / inches
        start = to_axes.transform((size, 0))[0] - width / 2
        row = next((row for row, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + width]
        labels.append("\n" * row + text)
    return labels


def _look(number: int) -> tuple[str, str]:
    """Return colour and line style of a model."""
    return SERIES[number % len(SERIES)], STYLES[number // len(SERIES) % len(STYLES)]


def _label(axes: Axes, ends: list[tuple[str, str, float]]) -> None:
    """Label each model with its name and last value; settings in a name get their own lines."""
    named = [
        (f"{name} {height:.1f}".replace(":", ":\n  ").replace(",", ",\n  "), colour, height)
        for name, colour, height in ends
    ]
    lines = max((label.count("\n") for label, *_ in named), default=0) + 1
    label_ends(axes, named, gap=0.07 * lines)
