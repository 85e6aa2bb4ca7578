"""The plot of how far a model finds known and unknown images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.plots.style import BLUE, BOLD, MUTED, ORANGE, annotate, picture, write_title

FARTHEST = 3.0  # in thresholds; what is beyond is counted in the last bin
BINS = 30


def plot_distances(
    known: NDArray[np.float32], unknown: NDArray[np.float32], path: Path, *, title: str = ""
) -> Path:
    """Draw how many of the known and of the unknown images are at which distance.

    Args:
        known: distances of images of known classes, in units of the threshold, (n,).
        unknown: of other pictures, (m,).
        path: the PNG or SVG file to write.
        title: shown above the picture.

    Raises:
        EanetError: the file cannot be written.
    """
    edges = np.linspace(0, FARTHEST, BINS + 1)
    with picture(path, 4.7, 2.6, dpi=180) as figure:
        axes = figure.subplots()
        for values, colour, name, place in (
            (known, BLUE, "known", 0.0),
            (unknown, ORANGE, "other pictures", 0.17),
        ):
            counts, _ = np.histogram(np.minimum(values, FARTHEST), edges)
            shares = 100 * counts / max(1, len(values))
            axes.stairs(shares, edges, color=colour, fill=True, alpha=0.35)
            axes.stairs(shares, edges, color=colour, linewidth=1.5)
            annotate(axes, name, (place, 1), (0, 8), color=colour)
        axes.axvline(1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        style = {"xycoords": ("data", "axes fraction"), "color": MUTED, "va": "top"}
        annotate(axes, "unknown from here", (1, 1), (5, -2), **style)
        axes.set_xlim(0, FARTHEST)
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="y", nbins=3, min_n_ticks=2)
        axes.set_xlabel("distance from the training images, in thresholds (farther: at the end)")
        axes.set_title("Share of the images, %", loc="left", pad=25, fontsize=12, **BOLD)
        axes.grid(axis="y")
        write_title(axes, title, points=54)
    return path
