"""Progress of a training: how fast it is and how long it will take, shown where it runs."""

from __future__ import annotations

import time
from typing import Protocol, Self

from rich.progress import TaskID, TextColumn

from eanet.console import duration, notice, progress_bar
from eanet.notebooks import is_watched
from eanet.training.notebook import NotebookDisplay
from eanet.training.run_directory import Row


class Display(Protocol):
    """Where the progress of an epoch is shown, and then the epoch."""

    def start_epoch(self, name: str, steps: int, step: int) -> None:
        """Begin an epoch of so many steps at one of them."""

    def show(self, step: int, rate: str, metrics: str, left: str) -> None:
        """Show how far it is."""

    def end_epoch(self, row: Row, line: str) -> None:
        """Show a finished epoch; ``line`` says it in words."""

    def stop(self) -> None:
        """End, whether or not the training was finished."""


class TrainingProgress:
    """The current epoch, with rate, metrics so far and time left of the run.

    Args:
        epochs: epochs of the run; ``None`` if not known in advance.
        steps: steps per epoch.
        batch_size: images per step.
        enabled: false in all processes but the first.
        history: the epochs before, if the training is resumed.
    """

    REFRESH_SECONDS = 0.2

    def __init__(
        self,
        epochs: int | None,
        steps: int,
        batch_size: int,
        *,
        enabled: bool,
        history: tuple[Row, ...] = (),
    ) -> None:
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self._of = "" if epochs is None else f"/{epochs}"
        self._display: Display | None = None
        if enabled:
            self._display = NotebookDisplay(history) if is_watched() else LineDisplay()
        self._step_seconds: float | None = None
        self._is_first_step = True
        self._last_step = self._last_shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.stop()

    def start_epoch(self, epoch: int, step: int) -> None:
        """Begin to show ``epoch`` (from 0) at ``step``."""
        if self._display is not None:
            self._display.start_epoch(f"epoch {epoch + 1}{self._of}", self.steps, step)
        self._last_step = time.perf_counter()

    def due(self) -> bool:
        """Count a step; return whether to show the metrics again (reading them may block)."""
        now = time.perf_counter()
        took, self._last_step = now - self._last_step, now
        before = self._step_seconds
        if not self._is_first_step:  # which may have waited for the compiler
            self._step_seconds = took if before is None else 0.95 * before + 0.05 * took
        self._is_first_step = False
        return now - self._last_shown > self.REFRESH_SECONDS

    def show(
        self, epoch: int, step: int, scores: dict[str, float], seconds_left: float | None
    ) -> None:
        """Move the bar of ``epoch`` to ``step``, with the epoch's scores so far and the time left.

        If ``seconds_left`` is None, it is estimated from the steps taken.
        """
        self._last_shown = time.perf_counter()
        if self._display is None or not self._step_seconds:
            return
        if seconds_left is None:
            steps_left = ((self.epochs or 0) - epoch) * self.steps - step
            seconds_left = steps_left * self._step_seconds
        self._display.show(
            step,
            rate=f"{self.batch_size / self._step_seconds:,.0f} images/s",
            metrics=f"loss {scores['loss']:.3f}  accuracy {scores['accuracy']:.1%}",
            left=f"{duration(seconds_left)} left",
        )

    def end_epoch(self, row: Row, *, best: bool) -> None:
        """Show a finished epoch, as a line that fits in 80 columns."""
        if self._display is None:
            return
        parts = [f"epoch {row['epoch']:>{max(1, len(self._of) - 1)}}{self._of}"]
        parts.append(f"loss {row['train_loss']:.3f}  accuracy {row['train_accuracy']:6.2%}")
        if "val_loss" in row:
            parts.append(f"validation {row['val_loss']:.3f}  {row['val_accuracy']:6.2%}")
        parts.append(duration(row["seconds"]))
        self._display.end_epoch(row, "  ".join(parts) + ("  best" if best else ""))


class LineDisplay:
    """A moving bar if there is a terminal, and a line for every finished epoch."""

    def __init__(self) -> None:
        self._bar = progress_bar(
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("[cyan]{task.fields[rate]}"),
            TextColumn("{task.fields[metrics]}"),
            TextColumn("[yellow]{task.fields[left]}"),
            show_time_left=False,
        )
        self._bar.start()
        self._task: TaskID | None = None

    def start_epoch(self, name: str, steps: int, step: int) -> None:
        """Begin the bar of an epoch."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(
            name, total=steps, completed=step, rate="", metrics="", left=""
        )

    def show(self, step: int, rate: str, metrics: str, left: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=step, rate=rate, metrics=metrics, left=left)

    def end_epoch(self, row: Row, line: str) -> None:
        """Print a line."""
        notice(line)

    def stop(self) -> None:
        """Remove the bar."""
        self._bar.stop()
