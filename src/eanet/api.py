"""The Python API: what the commands do, as functions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eanet.config import TrainSettings


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
            ``epochs``, ``batch_size`` or ``seed``; what is not given is the recipe's.

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
        EanetError: there is no such run, or its images have changed.
        KeyboardInterrupt: as in `train`.
    """
    from eanet.training.launch import resume as resume_run

    return _finish(resume_run(Path(run), **machine).path)


def _finish(path: Path) -> TrainingResult:
    from eanet.evaluation.report import write_report

    report = write_report(path)
    return TrainingResult(path, report.metrics, report.files)
