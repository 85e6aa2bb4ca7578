"""Benchmark plots: bars for models, curves over the number of tokens for layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eanet.benchmarking.figures import ModelFigures, Spread, TokenFigures
from eanet.console import short
from eanet.plots.labels import label_ends
from eanet.plots.style import BLUE, BOLD, INK, MUTED, ORANGE, annotate, picture, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
COLOURS = (BLUE, ORANGE)  # of the layers, in order
SMALLEST = 2**17  # bytes; less is lost in the process's own allocations


def plot_benchmark(figures: Sequence[ModelFigures], path: Path, *, note: str) -> Path:
    """Draw one panel of bars per figure, with whiskers from the 5th to the 95th percentile.

    Args:
        figures: of each model, one bar in every panel.
        path: the PNG file to write.
        note: shown below the picture.

    Raises:
        EanetError: the file cannot be written.
    """
    panels: list[tuple[str, list[float] | list[Spread]]] = [
        ("Parameters", [float(f.parameters) for f in figures]),
        ("Training, images/s", [f.training_images_per_second for f in figures]),
        ("Prediction, images/s", [f.prediction_images_per_second for f in figures]),
        ("Multiply-adds per image", [float(f.multiply_adds) for f in figures]),
        ("Latency of one image, ms", [f.latency_ms for f in figures]),
        ("Peak memory of training, MiB", [f.peak_memory_bytes / 2**20 for f in figures]),
    ]
    height = 2.2 + 0.7 * len(figures)
    with picture(path, 10.4, height, dpi=160) as figure:
        grid = figure.subplots(2, 3, sharey=True, gridspec_kw={"wspace": 0.3, "hspace": 0.45})
        for axes, (title, values) in zip(grid.flat, panels, strict=True):
            _draw_bars(axes, title, values)
            axes.tick_params(axis="y", labelcolor=INK)
        grid[0, 0].set_yticks(range(len(figures)), [f.model for f in figures])
        grid[0, 0].set_ylim(len(figures) - 0.4, -0.6)  # the first on top
        write_title(grid[0, 0], "What the models cost", points=36)
        _write_note(grid[1, 0], note, points=22)
    return path


def _draw_bars(axes: Axes, title: str, values: Sequence[float] | Sequence[Spread]) -> None:
    medians = [v.median if isinstance(v, Spread) else v for v in values]
    highs = [v.high if isinstance(v, Spread) else v for v in values]
    axes.barh(range(len(values)), medians, height=0.55, color=BLUE)
    for place, value in enumerate(values):
        if isinstance(value, Spread):
            axes.plot([value.low, value.high], [place] * 2, color=INK, linewidth=1.2)
        end, text = (highs[place], place), short(medians[place])
        annotate(axes, text, end, (5, 0), xycoords="data", va="center")
    axes.set_title(title, loc="left", fontsize=11, **BOLD)
    axes.set_xlim(0, 1.25 * max(highs))
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def plot_tokens(
    points: Sequence[TokenFigures],
    path: Path,
    *,
    crossing: float | None,
    summary: str,
    note: str,
) -> Path:
    """Draw time and memory of each layer by the number of tokens, on logarithmic axes.

    Args:
        points: measurements of at most two layers.
        path: the PNG file to write.
        crossing: number of tokens to mark in the panel of times, if any.
        summary: shown above the picture, as its message.
        note: shown below it.

    Raises:
        EanetError: the file cannot be written.
    """
    layers = list(dict.fromkeys(p.layer for p in points))
    with picture(path, 10.4, 4.2, dpi=160) as figure:
        time, memory = figure.subplots(1, 2, gridspec_kw={"wspace": 0.75})
        times, memories = _Panel(time), _Panel(memory)
        for layer, colour in zip(layers, COLOURS, strict=False):
            own = [p for p in points if p.layer == layer]
            tokens = [p.tokens for p in own]
            times.draw(layer, tokens, [p.training_ms.median for p in own], colour, "-")
            times.draw("forward only", tokens, [p.forward_ms.median for p in own], colour, ":")
            large = [p for p in own if p.memory_bytes >= SMALLEST]
            mebibytes = [p.memory_bytes / 2**20 for p in large]
            memories.draw(layer, [p.tokens for p in large], mebibytes, colour, "-")
        times.finish("Time, ms: forward and backward", points)
        memories.finish("Memory of forward and backward, MiB", points)
        if crossing is not None and crossing > points[0].tokens:
            time.axvline(crossing, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        write_title(time, summary[0].upper() + summary[1:], points=42)
        _write_note(time, note, points=50)
    return path


class _Panel:
    """A log-log panel with each curve labelled at its right end."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.ends: list[tuple[str, str, float]] = []  # label, colour, height

    def draw(
        self, label: str, x: Sequence[float], y: Sequence[float], colour: str, style: str
    ) -> None:
        """Draw a curve, unless it has no points."""
        if x:
            self.axes.plot(x, y, style, color=colour, marker="o", markersize=4)
            self.ends.append((label, colour, y[-1]))

    def finish(self, title: str, points: Sequence[TokenFigures]) -> None:
        """Set up axes and labels, once all curves are drawn."""
        from matplotlib.ticker import LogLocator

        axes = self.axes
        numbers = sorted({p.tokens for p in points})
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlim(numbers[0] / 1.2, numbers[-1] * 1.2)
        shown = numbers[:: -(-len(numbers) // 5)]  # at most five
        axes.set_xticks(shown, [f"{number:,}" for number in shown])
        low, high = np.log(axes.get_ylim())
        wide = high - low > np.log(30)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: short(value))
        axes.set_xlabel("tokens")
        axes.set_title(title, loc="left", pad=14, fontsize=11, **BOLD)
        axes.grid(axis="y")
        label_ends(axes, self.ends, gap=0.075)


def _write_note(axes: Axes, note: str, points: float) -> None:
    """Write a note on the measurement, ``points`` points below the left end of ``axes``."""
    annotate(axes, note, (0, 0), (0, -points), color=MUTED, fontsize=9, va="top")
