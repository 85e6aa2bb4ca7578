"""Progress of a training in a notebook: one block that is drawn anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import NamedTuple

from eanet.console import duration
from eanet.notebooks import Place
from eanet.pages.notebook import render
from eanet.training.run_directory import Row

WIDTH, HEIGHT = 260, 90  # of a panel, in pixels
PANELS = {"Loss": "loss", "Accuracy": "accuracy"}
CURVES = {"train": "wrong", "val": "right"}  # the colours of the report's curves
NAMES = {"train": "training", "val": "validation"}


class Curve(NamedTuple):
    """A line of a panel: its name, colour and points, and its last value in words."""

    name: str
    colour: str
    points: str
    last: str


class NotebookDisplay:
    """A bar with rate and time left, curves that grow, and at the end a table of the epochs.

    Args:
        history: the epochs before, if the training is resumed.
    """

    def __init__(self, history: Iterable[Row] = ()) -> None:
        self._place = Place()
        self._rows = list(history)
        self._lines: list[str] = []
        self._name, self._steps = "", 1

    def start_epoch(self, name: str, steps: int, step: int) -> None:
        """Begin the bar of an epoch."""
        self._name, self._steps = name, steps
        self._draw(step / steps, "")

    def show(self, step: int, rate: str, metrics: str, left: str) -> None:
        """Move the bar."""
        self._draw(step / self._steps, "  ·  ".join((rate, *metrics.split("  "), left)))

    def end_epoch(self, row: Row, line: str) -> None:
        """Let the curves grow."""
        self._rows.append(row)
        self._lines.append(line)
        self._draw(1.0, "")

    def stop(self) -> None:
        """Leave curves and table."""
        self._draw(None, "")

    def _draw(self, done: float | None, state: str) -> None:
        html = render(
            "eanet.training",
            "progress.html",
            name=self._name,
            done=done,
            state=state,
            panels={name: _curves(self._rows, column) for name, column in PANELS.items()},
            size=(WIDTH, HEIGHT),
            table=_table(self._rows) if done is None else [],
        )
        self._place.draw(html, "\n".join([*self._lines, f"{self._name}  {state}".rstrip()]))


def _curves(rows: Sequence[Row], column: str) -> list[Curve]:
    """Return the lines of a panel from the second epoch on."""
    values = {
        split: [x for row in rows if isfinite(x := row.get(f"{split}_{column}", nan))]
        for split in CURVES
    }
    finite = [value for line in values.values() for value in line]
    if len(rows) < 2 or not finite:
        return []
    low, high = min(finite), max(finite)
    scale = (HEIGHT - 8) / ((high - low) or 1.0)
    step = WIDTH / (len(rows) - 1)
    return [
        Curve(
            NAMES[split],
            CURVES[split],
            " ".join(
                f"{number * step:.1f},{HEIGHT - 4 - (value - low) * scale:.1f}"
                for number, value in enumerate(line)
            ),
            f"{line[-1]:.1%}" if column == "accuracy" else f"{line[-1]:.3f}",
        )
        for split, line in values.items()
        if len(line) == len(rows)
    ]


def _table(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [
        {
            "epoch": f"{row['epoch']:.0f}",
            **{
                f"{NAMES[split]} {name}": f"{row[f'{split}_{name}']:{form}}"
                for split in CURVES
                for name, form in (("loss", ".3f"), ("accuracy", ".2%"))
                if f"{split}_{name}" in row
            },
            "images/s": f"{row['images_per_second']:,.0f}",
            "time": duration(row["seconds"]),
        }
        for row in rows
    ]
