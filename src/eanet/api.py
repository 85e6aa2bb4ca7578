"""The Python API: what the commands do, as functions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eanet.config import TrainSettings
from eanet.errors import unknown_name

MACHINE = ("device", "precision", "compile", "threads")  # what a resumed run may change


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes:
        path: the run directory; `load` takes it.
        metrics: of the best model on the test images; accuracies are fractions.
        files: what the evaluation wrote.
    """

    path: Path
    metrics: dict[str, float | int]
    files: tuple[Path, ...]


def train(data: str | Path = "digits", **settings: Any) -> TrainingResult:
    """Train a classifier, evaluate it on the test images and draw the pictures.

    Args:
        data: ``digits``, ``cifar10``, ``cifar100`` or a folder of class folders.
        **settings: any field of `eanet.config.TrainSettings`, such as ``model``, ``recipe``,
            ``epochs``, ``batch_size`` or ``seed``; what is not given is the recipe's, and ``None``
            unsets one.

    Raises:
        EanetError: anything that the caller can put right, in one line.
        KeyboardInterrupt: after Ctrl-C; the run is saved and `resume` goes on with it.
    """
    from eanet.training.launch import launch

    return _finish(launch(TrainSettings.resolve(data=str(data), **settings)).path)


def resume(run: str | Path, **machine: str | int | None) -> TrainingResult:
    """Go on with an interrupted training, with its own settings.

    Args:
        run: the run directory.
        **machine: ``device``, ``precision``, ``compile``, ``threads``, where these shall differ.

    Raises:
        EanetError: there is no such run, its images have changed, or a setting may not change.
        KeyboardInterrupt: as in `train`.
    """
    from eanet.training.launch import resume as resume_run

    for name in machine:
        if name not in MACHINE:
            raise unknown_name("setting of a resumed run", name, MACHINE)
    return _finish(resume_run(Path(run), **machine).path)


def _finish(path: Path) -> TrainingResult:
    """Evaluate in the first process; the others of a run in several have nothing to tell."""
    from torch import distributed

    from eanet.evaluation.report import write_report

    if distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0:
        return TrainingResult(path, {}, ())
    report = write_report(path)
    return TrainingResult(path, report.metrics, report.files)
