"""The plot of a learning-rate search: loss by rate, and the rate selected."""

from __future__ import annotations

from pathlib import Path

from eanet.plots.style import BLUE, MUTED, ORANGE, annotate, picture, write_title
from eanet.training.range_test import RangeTest


def plot_range_test(test: RangeTest, selected: float, path: Path, *, title: str = "") -> Path:
    """Draw raw and smoothed loss by learning rate, and mark the rate selected.

    Args:
        test: what was tried.
        selected: the rate that the run was trained with.
        path: the PNG or SVG file to write.
        title: shown above the picture.

    Raises:
        EanetError: the file cannot be written.
    """
    smoothed = test.smoothed
    top = 1.1 * smoothed[: test.lowest + 1].max()  # leaves out the divergence
    with picture(path, 6.2, 3.4, dpi=180) as figure:
        axes = figure.subplots()
        axes.plot(test.rates, test.losses, ".", color=BLUE, alpha=0.3, markersize=4)
        axes.plot(test.rates, smoothed, color=BLUE)
        axes.plot(test.rates[test.lowest], smoothed[test.lowest], "o", color=BLUE, markersize=7)
        axes.axvline(selected, color=ORANGE, linewidth=1.5, linestyle=(0, (4, 3)))
        style = {"xycoords": ("data", "axes fraction"), "color": ORANGE, "ha": "right"}
        annotate(axes, f"chosen: {selected:g}", (selected, 1), (-5, -12), **style)
        lowest = test.rates[test.lowest], smoothed[test.lowest]
        annotate(axes, "lowest", lowest, (9, -13), xycoords="data", color=MUTED)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        low = min(smoothed[: test.lowest + 1].min(), test.losses.min())
        axes.set_ylim(low - 0.12 * (top - low), top)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss: each step, and smoothed")
        axes.grid(axis="y")
        write_title(axes, title, points=14)
    return path
