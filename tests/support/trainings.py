"""Trainings whose steps are written down, or that are interrupted."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from torch import Tensor

from eanet.cli import main
from eanet.config import TrainSettings
from eanet.data.imageset import ImageSet
from eanet.training import updates
from eanet.training.launch import launch
from eanet.training.resume import resume
from eanet.training.run_directory import RunDirectory
from tests.support.pictures import blank_pictures


def watch_steps(folder: Path, stop_at: int | None = None) -> None:
    """Write down which images this process takes, step by step, in a file named after its rank.

    At step ``stop_at``, a process of rank 1 is told to stop.
    """
    take, steps, rank = updates.take, 0, os.environ.get("RANK", "0")

    def watched(images: ImageSet, indices: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal steps
        steps += 1
        if rank == "1" and steps == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        with (folder / rank).open("a") as file:
            print(*indices.tolist(), file=file)
        return take(images, indices)

    updates.take = watched


def train(steps: Path, settings: TrainSettings, stop_at: int | None = None) -> None:
    """Train, with `watch_steps`."""
    watch_steps(steps, stop_at)
    if stop_at is None:
        launch(settings)
    else:
        with pytest.raises(KeyboardInterrupt):
            launch(settings)


def go_on(steps: Path, run: Path) -> None:
    """Train on, with `watch_steps`."""
    watch_steps(steps)
    resume(run)


def command(steps: Path, *arguments: str) -> None:
    """`eanet`, with `watch_steps`, and with blank pictures."""
    watch_steps(steps)
    with blank_pictures():
        if code := main(list(arguments)):
            sys.exit(code)


def interrupt_after_an_epoch(patch: pytest.MonkeyPatch) -> None:
    """Let the next training be interrupted, as by Ctrl-C, when it has written an epoch's row."""

    def write_and_interrupt(run: RunDirectory, rows: list[dict[str, float]]) -> None:
        write(run, rows)
        if rows:
            signal.raise_signal(signal.SIGINT)

    write = RunDirectory.write_history
    patch.setattr(RunDirectory, "write_history", write_and_interrupt)
