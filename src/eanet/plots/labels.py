"""Labels at the right ends of curves, instead of a legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eanet.plots.style import annotate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def label_ends(axes: Axes, ends: Sequence[tuple[str, str, float]], *, gap: float) -> None:
    """Write labels right of ``axes`` without overlap; its limits and scales must be final.

    Args:
        axes: where the curves are.
        ends: label, colour, and height in data coordinates.
        gap: minimum distance between neighbours, as a fraction of the height of ``axes``.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [to_axes.transform((axes.get_xlim()[1], height))[1] for *_, height in ends]
    for (label, colour, _), place in zip(ends, spread(heights, gap), strict=True):
        style = {"color": colour, "va": "center", "annotation_clip": False}
        annotate(axes, label, (1, place), (6, 0), **style)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move positions as little as possible to keep neighbours ``gap`` apart, in their order.

    Least squares under a minimum distance is isotonic regression.
    """
    from scipy.optimize import isotonic_regression  # takes half a second, and not all draw labels

    if len(positions) < 2:
        return list(positions)
    order = np.argsort(positions, kind="stable")
    steps, moved = gap * np.arange(len(order)), np.empty(len(order))
    moved[order] = isotonic_regression(np.asarray(positions)[order] - steps).x + steps
    return [float(height) for height in moved]
