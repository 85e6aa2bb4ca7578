"""The reliability diagram: accuracy by confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eanet.console import short
from eanet.metrics.calibration import BINS, Reliability
from eanet.plots.style import (
    BLUE,
    BOLD,
    INK,
    MUTED,
    ORANGE,
    annotate,
    picture,
    text_width,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(
    reliability: Reliability, path: Path, *, title: str = "", before: Reliability | None = None
) -> Path:
    """Draw accuracy by confidence above the number of images by confidence.

    Bars show the accuracy in each bin with its 95 % confidence interval, and thin bars the gap from
    there to the mean confidence. The two agree on the dashed diagonal.

    Args:
        reliability: of the model.
        path: the PNG or SVG file to write.
        title: shown above the picture.
        before: the same before calibration; drawn as points.

    Raises:
        EanetError: the file cannot be written.
    """
    bins = 100 * (np.arange(BINS) + 0.5) / BINS
    accuracy, confidence = 100 * reliability.accuracy, 100 * reliability.confidence
    with picture(path, 4.7, 5.0, dpi=180) as figure:
        above, below = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1), "hspace": 0.34}
        )
        above.bar(bins, accuracy, width=88 / BINS, color=BLUE)
        above.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        above.vlines(bins, accuracy, confidence, color=ORANGE, linewidth=4)
        low, high = 100 * reliability.low, 100 * reliability.high
        above.vlines(bins + 30 / BINS, low, high, color=INK, linewidth=1)
        legend = [("accuracy", BLUE), ("gap to confidence", ORANGE), ("95% interval", INK)]
        if before is not None:
            points = 100 * before.confidence, 100 * before.accuracy
            style = {"color": MUTED, "markersize": 5, "markerfacecolor": "white"}
            above.plot(*points, "o", clip_on=False, **style)
            legend.append(("○ before", MUTED))
        above.set_ylim(0, 100)
        _head(above, "Accuracy, %", legend)
        bars = below.bar(bins, reliability.images, width=88 / BINS, color=MUTED)
        counts = [short(count) if count else "" for count in reliability.images.tolist()]
        below.bar_label(bars, counts, fontsize=8, color=MUTED, padding=1)
        below.set_xlim(0, 100)
        below.locator_params(axis="y", nbins=3, integer=True)
        below.set_xlabel("confidence (probability of the answer), %")
        _head(below, "Images", [])
        write_title(above, title, points=54)
    return path


def _head(axes: Axes, name: str, legend: Sequence[tuple[str, str]]) -> None:
    """Write a panel's name above it, and the legend below the name."""
    axes.set_title(name, loc="left", pad=25 if legend else 8, fontsize=12, **BOLD)
    axes.grid(axis="y")
    place = 0.0
    for text, colour in legend:
        annotate(axes, text, (0, 1), (place, 8), color=colour)
        place += 72 * text_width(text, 11) + 12
