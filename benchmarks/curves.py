"""Draws validation accuracy by epoch and by minute, from the history.csv of several trainings.

    python -m benchmarks.curves PICTURE NAME=HISTORY[@SECONDS] ...

An epoch counts with the median time of the training's epochs, so that pauses do not, or with the
SECONDS given. Curves end where the shortest does, so that all stand beside the others.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path
from typing import NamedTuple

from eanet.plots.labels import label_ends
from eanet.plots.style import BOLD, SERIES, picture


class Training(NamedTuple):
    """What is drawn of one."""

    name: str
    accuracies: list[float]  # percent of the validation images after each epoch
    minutes: float  # an epoch


def read(argument: str) -> Training:
    """Read a training from an argument of the command."""
    name, _, rest = argument.partition("=")
    path, _, seconds = rest.partition("@")
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    epoch = float(seconds) if seconds else statistics.median(float(r["seconds"]) for r in rows)
    return Training(name, [100 * float(row["val_accuracy"]) for row in rows], epoch / 60)


def draw(trainings: list[Training], path: Path) -> None:
    """Draw both panels, labelled in the right one."""
    longest = max(len(training.accuracies) for training in trainings)
    with picture(path, 9.4, 4.0, dpi=180) as figure:
        by_epoch, by_minute = figure.subplots(1, 2, gridspec_kw={"wspace": 0.16})
        for training, colour in zip(trainings, SERIES, strict=False):
            numbers = range(1, len(training.accuracies) + 1)
            by_epoch.plot(numbers, training.accuracies, "-o", color=colour, markersize=4)
            minutes = [number * training.minutes for number in numbers]
            by_minute.plot(minutes, training.accuracies, "-o", color=colour, markersize=4)
        by_epoch.locator_params(axis="x", integer=True)
        by_minute.set_xlim(left=0)
        for axes, label in ((by_epoch, "epoch"), (by_minute, "minutes of training and validation")):
            axes.set_title("Validation accuracy, %", loc="left", pad=10, fontsize=12, **BOLD)
            axes.set_xlabel(label)
            axes.grid(axis="y")
        ends = []
        for training, colour in zip(trainings, SERIES, strict=False):
            *_, last = training.accuracies
            epochs = len(training.accuracies)
            when = "" if epochs == longest else f" after {epochs}"
            ends.append((f"{training.name} {last:.1f}{when}", colour, last))
        label_ends(by_minute, ends, gap=0.07)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("trainings", nargs="+", metavar="NAME=HISTORY[@SECONDS]")
    options = parser.parse_args()
    draw([read(argument) for argument in options.trainings], options.picture)


if __name__ == "__main__":
    main()
