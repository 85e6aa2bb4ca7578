"""The Python API: what the commands do, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eanet.config import TrainSettings
from eanet.errors import WrongArgumentError, unknown_name
from eanet.machine import MachineSettings

if TYPE_CHECKING:
    from eanet.evaluation.compare import Comparison

MACHINE = tuple(MachineSettings.model_fields)  # what a resumed run may change


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
        data: ``digits``, ``cifar10``, ``cifar100``, a folder, a list or an archive of images.
        **settings: any field of `eanet.config.TrainSettings`, such as ``model``, ``recipe``,
            ``epochs``, ``batch_size`` or ``seed``; what is not given is chosen from the images or
            is the recipe's, and ``None`` unsets one.

    Raises:
        EanetError: anything that the caller can put right, in one line.
        KeyboardInterrupt: after Ctrl-C; the run is saved and `resume` goes on with it.
    """
    from eanet.training.launch import launch

    return _finish(launch(TrainSettings.resolve(data=str(data), **settings)).path)


def resume(run: str | Path, **machine: str | int | None) -> TrainingResult:
    """Resume an interrupted training with its own settings.

    Args:
        run: the run directory.
        **machine: ``device``, ``precision``, ``compile``, ``threads``, where these should differ.

    Raises:
        EanetError: there is no such run, its images have changed, or a setting may not change.
        KeyboardInterrupt: as in `train`.
    """
    from eanet.training.launch import resume as resume_run

    for name in machine:
        if name in TrainSettings.model_fields and name not in MACHINE:
            raise WrongArgumentError(f"a resumed run keeps its own settings; leave out {name}")
        if name not in MACHINE:
            raise unknown_name("setting of a resumed run", name, MACHINE)
    return _finish(resume_run(Path(run), **machine).path, machine.get("device"))


def compare(
    *names: str | Path, seeds: int | None = None, output: str | Path | None = None, **settings: Any
) -> Comparison:
    """Train models under the same conditions and compare them, or compare finished runs.

    Each training has a process of its own, which imports the main module of the program anew, so a
    script calls this under ``if __name__ == "__main__":``.

    Args:
        *names: of models, or run directories.
        seeds: how many runs of each model, with the seeds 0, 1, ...; 3 unless given.
        output: the folder for the runs and the comparison; named after the data and the recipe, or
            after the runs, unless given. With the same settings, it is resumed.
        **settings: any field of `eanet.config.TrainSettings`, the same for all runs, but ``model``,
            ``seed`` and ``name``.

    Raises:
        EanetError: anything that the caller can put right, in one line.
        KeyboardInterrupt: after Ctrl-C; the same call resumes.
    """
    from eanet.evaluation.compare import compare as compare_all

    return compare_all(names, seeds=seeds, output=output, **settings)


def explain(
    run: str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    class_name: str | None = None,
    layer: int | None = None,
    slots: int = 6,
    device: str = "auto",
) -> tuple[Path, ...]:
    """Draw what a model attends to in images, and what its answers rest on: one picture per image.

    Args:
        run: a run directory, a model file or a Hub id.
        images: one or several: files, folders, archives, patterns.
        output: the folder for the pictures, where nothing is overwritten; ``explain`` in the run
            directory unless given, or ``./explain`` if that is no folder.
        class_name: the class to explain; each image's most probable one unless given.
        layer: the block, counted from 1, whose attention is shown; the last that has any unless
            given.
        slots: how many memory slots, the strongest first.
        device: where to compute.

    Returns:
        The pictures; images that cannot be read are named on standard error and skipped.

    Raises:
        EanetError: there is no such model, image, class or layer.
    """
    from eanet.deploy.predictor import find_images, load
    from eanet.evaluation.explain_files import explain_files, explain_folder

    several = [images] if isinstance(images, str | Path) else images
    model = load(run, device).model
    folder = explain_folder(run) if output is None else Path(output)
    paths = find_images([str(image) for image in several])
    return explain_files(model, paths, folder, class_name=class_name, layer=layer, slots=slots)


def _finish(path: Path, device: str | int | None = None) -> TrainingResult:
    """Evaluate in the first process; the others of a run in several have nothing to tell."""
    from torch import distributed

    from eanet.evaluation.report import write_report

    if distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0:
        return TrainingResult(path, {}, ())
    report = write_report(path, device=None if device is None else str(device))
    return TrainingResult(path, report.metrics, report.files)
