"""Trainings in processes of their own, whose steps are written down."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from torch import Tensor

from eanet.config import TrainSettings
from eanet.data.imageset import ImageSet
from eanet.training import updates
from eanet.training.launch import launch
from eanet.training.resume import resume


def watch_steps(folder: Path) -> None:
    """Write down which images this process takes, step by step, in a file named after its rank.

    In a process of rank 1, ``STOP_AT`` is the step at which it is told to stop.
    """
    take, steps, rank = updates.take, 0, os.environ.get("RANK", "0")

    def watched(images: ImageSet, indices: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal steps
        steps += 1
        if rank == "1" and str(steps) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGTERM)
        with (folder / rank).open("a") as file:
            print(*indices.tolist(), file=file)
        return take(images, indices)

    updates.take = watched


def train(settings: TrainSettings, steps: Path | None = None) -> None:
    """Train; ``steps``: the folder for `watch_steps`."""
    if steps is not None:
        watch_steps(steps)
    launch(settings)


def go_on(run: Path, steps: Path | None = None) -> None:
    """As `train`, of a run that was stopped."""
    if steps is not None:
        watch_steps(steps)
    resume(run)


if __name__ == "__main__":
    from eanet.cli import main

    watch_steps(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
