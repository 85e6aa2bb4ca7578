"""The plots of a run, in one style; each is written completely or not at all."""

from __future__ import annotations

from eanet.evaluation.confusion import most_confused, plot_confusion
from eanet.evaluation.curves import plot_curves
from eanet.evaluation.range_test import plot_range_test
from eanet.evaluation.reliability import plot_reliability
from eanet.evaluation.samples import choose_samples, plot_samples

__all__ = [
    "choose_samples",
    "most_confused",
    "plot_confusion",
    "plot_curves",
    "plot_range_test",
    "plot_reliability",
    "plot_samples",
]
