"""The plot of accuracy by the share of images that are answered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.metrics.coverage import accuracy_by_coverage
from eanet.plots.style import BLUE, BOLD, ORANGE, annotate, picture, write_title


def plot_coverage(
    certainty: NDArray[np.float32],
    correct: NDArray[np.bool_],
    path: Path,
    *,
    title: str = "",
    metrics: Mapping[str, float] | None = None,
) -> Path:
    """Draw the accuracy on the images whose answers are most probable, by their share.

    Args:
        certainty: probability of each image's answer, (n,).
        correct: whether it is right, (n,).
        path: the PNG or SVG file to write.
        title: shown above the picture.
        metrics: of the evaluation; with a detector of unknown images, its point is marked.

    Raises:
        EanetError: the file cannot be written.
    """
    coverage, accuracy = (100 * values for values in accuracy_by_coverage(certainty, correct))
    marker = "o" if len(coverage) <= 12 else ""
    with picture(path, 4.7, 3.4, dpi=180) as figure:
        axes = figure.subplots()
        axes.plot(coverage, accuracy, color=BLUE, marker=marker, markersize=5)
        lowest = float(accuracy.min())
        if metrics is not None and "accepted_top1" in metrics:
            answered = 100 * (1 - metrics["false_rejections"])
            low, point, high = (
                100 * metrics[f"accepted_top1{end}"] for end in ("_low", "", "_high")
            )
            axes.vlines(answered, low, high, color=ORANGE, linewidth=2)
            axes.plot(answered, point, "o", color=ORANGE, markersize=9, markeredgecolor="white")
            style = {"xycoords": "data", "color": ORANGE, "ha": "right", "va": "bottom"}
            annotate(axes, "not unknown", (answered, low), (-8, 0), **style)
            lowest = min(lowest, low)
        axes.set_xlim(0, 101)
        axes.set_ylim(max(0, lowest - 0.1 * (100.5 - lowest)), 100.5)
        axes.locator_params(axis="y", nbins=5, min_n_ticks=2)
        axes.set_xlabel("share of the images answered, most probable answers first, %")
        axes.set_title("Accuracy on them, %", loc="left", pad=10, fontsize=12, **BOLD)
        axes.grid(axis="y")
        write_title(axes, title, points=34)
    return path
