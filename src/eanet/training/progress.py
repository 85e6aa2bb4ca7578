"""Progress display of a training: a moving bar, and a line for every finished epoch."""

from __future__ import annotations

import time
from typing import Self

from rich.progress import TaskID, TextColumn

from eanet.console import duration, notice, progress_bar
from eanet.training.run_directory import Row


class TrainingProgress:
    """The bar of the current epoch, with rate, metrics so far and time left of the run.

    Args:
        epochs: epochs of the run; ``None`` if not known in advance.
        steps: steps per epoch.
        batch_size: images per step.
        enabled: false in all processes but the first.
    """

    REFRESH_SECONDS = 0.2

    def __init__(self, epochs: int | None, steps: int, batch_size: int, *, enabled: bool) -> None:
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self._of = "" if epochs is None else f"/{epochs}"
        self.enabled = enabled
        self._bar = progress_bar(
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("[cyan]{task.fields[rate]}"),
            TextColumn("{task.fields[metrics]}"),
            TextColumn("[yellow]{task.fields[left]}"),
            show_time_left=False,
        )
        self._task: TaskID | None = None
        self._step_seconds: float | None = None
        self._is_first_step = True
        self._last_step = self._last_shown = 0.0

    def __enter__(self) -> Self:
        if self.enabled:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start_epoch(self, epoch: int, step: int) -> None:
        """Begin the bar of ``epoch`` (from 0) at ``step``."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(
            f"epoch {epoch + 1}{self._of}",
            total=self.steps,
            completed=step,
            rate="",
            metrics="",
            left="",
        )
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
        if self._task is None or not self._step_seconds:
            return
        if seconds_left is None:
            steps_left = ((self.epochs or 0) - epoch) * self.steps - step
            seconds_left = steps_left * self._step_seconds
        self._bar.update(
            self._task,
            completed=step,
            rate=f"{self.batch_size / self._step_seconds:,.0f} images/s",
            metrics=f"loss {scores['loss']:.3f}  accuracy {scores['accuracy']:.1%}",
            left=f"{duration(seconds_left)} left",
        )

    def end_epoch(self, row: Row, *, best: bool) -> None:
        """Print the line of a finished epoch, which fits in 80 columns."""
        if not self.enabled:
            return
        parts = [f"epoch {row['epoch']:>{max(1, len(self._of) - 1)}}{self._of}"]
        parts.append(f"loss {row['train_loss']:.3f}  accuracy {row['train_accuracy']:6.2%}")
        if "val_loss" in row:
            parts.append(f"validation {row['val_loss']:.3f}  {row['val_accuracy']:6.2%}")
        parts.append(duration(row["seconds"]))
        notice("  ".join(parts) + ("  best" if best else ""))
