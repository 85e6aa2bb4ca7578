"""What a training comes to: its run directory, its figures and its history."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from eanet.pages.notebook import Figure, show
from eanet.plots.curves import ACCURACY, LOSS, plot_curves
from eanet.plots.svg import svg_image
from eanet.report.figures import accuracy_figures, in_words
from eanet.report.report import best_epoch
from eanet.tables import as_table, columns_of


@dataclass(frozen=True, repr=False)
class TrainingResult:
    """A finished training; it stands for its run directory wherever a path does.

    Attributes:
        path: the run directory; `load`, `evaluate`, `explain` and `resume` take it.
        metrics: of the best model on the test images; accuracies are fractions.
        files: what the evaluation wrote.
        epochs: one row per epoch, as in ``history.csv``.

    Examples:
        >>> result = eanet.resume("runs/first")  # finished: evaluated anew
        >>> sorted(file.name for file in result.files if file.suffix == ".csv")
        ['classes.csv']
        >>> eanet.load(result).classes[:3]
        ('0', '1', '2')
    """

    path: Path
    metrics: dict[str, float | int]
    files: tuple[Path, ...]
    epochs: Sequence[Mapping[str, float]]

    @property
    def history(self) -> Any:
        """One row per epoch, as a DataFrame, or without pandas as a dictionary of columns.

        The columns are those of ``history.csv``: ``epoch`` (from 1), ``learning_rate``,
        ``train_loss``, ``train_accuracy`` and ``train_top5``, the same with ``val_`` if there are
        validation images, ``images_per_second`` and ``seconds``.
        """
        columns = columns_of(self.epochs)
        return as_table({n: [*map(int, v)] if n == "epoch" else v for n, v in columns.items()})

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        answer = f": {in_words(self.metrics)}" if self.metrics else ""
        return f"TrainingResult({self.path}{answer})"

    def _repr_html_(self) -> str:
        if not self.metrics:
            return show(repr(self))
        best = best_epoch(self.epochs)
        draw = partial(plot_curves, self.epochs, best_epoch=best)
        charts = [
            svg_image(partial(draw, panels=[panel]), f"{panel.name} by epoch")
            for panel in (LOSS, ACCURACY)
            if self.epochs
        ]
        report = [str(file) for file in self.files if file.suffix == ".html"]
        return show(
            f"Training {self.path}",
            figures=[*accuracy_figures(self.metrics), *self._training(best)],
            charts=charts,
            notes=[f"everything in {file}" for file in report],
        )

    def _training(self, best: int | None) -> Iterator[Figure]:
        """Yield the number of epochs and what they took."""
        if not self.epochs:
            return
        note = "" if best is None else f"the best is number {best}"
        yield Figure("Epochs", f"{len(self.epochs):,}", note)
        seconds = sum(row.get("seconds", 0.0) for row in self.epochs)
        speed = max(row.get("images_per_second", 0.0) for row in self.epochs)
        yield Figure("Time", str(timedelta(seconds=round(seconds))), f"{speed:,.0f} images/s")
