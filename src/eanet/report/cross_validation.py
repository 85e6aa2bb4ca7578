"""Cross-validation: a training for each fold, and one report on what all answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from eanet.config import MachineSettings, TrainSettings, is_run
from eanet.console import notice
from eanet.data.groups import NEVER
from eanet.data.held_out import folds_of, groups_of
from eanet.data.keeping import KEPT, locate
from eanet.data.source import open_source
from eanet.device import Machine, device_or_other
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import check_writable, lock_folder, replacing_together
from eanet.metrics.evaluation import Evaluation, evaluate_model
from eanet.metrics.folds import FoldAccuracy, cross_validated_interval, fold_accuracies
from eanet.metrics.label_suspects import LabelSuspect, find_label_suspects
from eanet.models import load_model
from eanet.options import FoldOptions
from eanet.pages.notebook import show
from eanet.process import process_counts
from eanet.report.beside import write_files
from eanet.report.evaluate import evaluate_trained
from eanet.report.figures import accuracy_figures, in_words
from eanet.report.files import METRICS_FILE
from eanet.report.page import write_page
from eanet.report.report import Folds, Report
from eanet.report.subject import PAGE
from eanet.training.defaults import fill
from eanet.training.engine import compute_environment
from eanet.training.launch import launch
from eanet.training.messages import show_defaults
from eanet.training.prepare import open_inputs, plan_run
from eanet.training.resume import resume
from eanet.training.run_data import load_run_data
from eanet.training.run_directory import RunDirectory

# Settings in which the folds may differ from those of the call that continues them.
_FREE = {*MachineSettings.model_fields, "output", "name", "fold", "tensorboard"}


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """What a model trained on most of the images answers on the others, in turn for all of them.

    Attributes:
        path: the folder, with a run directory for each fold.
        runs: these directories.
        metrics: over all images, as those of `eanet.train`; the intervals of ``top1`` and ``top5``
            are those of `eanet.metrics.folds.cross_validated_interval`, ``top1_sd`` is the standard
            deviation over the folds.
        accuracies: of each fold.
        suspects: images whose label is suspected, the most probable first; ``index`` counts
            the rows of ``predictions.csv``, from 0.
        files: what was written.

    Examples:
        >>> whole = eanet.cross_validate("digits", folds=2, model="keras_mlp", epochs=1)
        >>> whole.path
        PosixPath('runs/digits-keras_mlp-2-folds')
        >>> len(whole.runs)
        2
    """

    path: Path
    runs: tuple[Path, ...]
    metrics: Mapping[str, float | int]
    accuracies: tuple[FoldAccuracy, ...]
    suspects: tuple[LabelSuspect, ...]
    files: tuple[Path, ...]

    def __repr__(self) -> str:
        return f"CrossValidation({self.path}, {len(self.runs)} folds: {in_words(self.metrics)})"

    def _repr_html_(self) -> str:
        table = [
            {"fold": f"{number}", "images": f"{fold.images:,}", "top-1": f"{fold.top1:.1%}"}
            for number, fold in enumerate(self.accuracies, 1)
        ]
        count = len(self.suspects)
        pages = [f"everything in {file}" for file in self.files if file.suffix == ".html"]
        return show(
            f"Cross-validation {self.path}",
            figures=accuracy_figures(self.metrics),
            tables={"Folds": table},
            notes=[f"labels suspected of being wrong: {count:,}", *pages],
        )


def cross_validate(
    data: Any = "digits", folds: int = 5, **settings: Unpack[FoldOptions]
) -> CrossValidation:
    """Train once for each fold, judge each run by the images that it has not seen, and report.

    The training images are divided into folds, stratified, with groups (``group``) kept whole;
    test images of the data set are left out. The answers for all folds together make a report with
    honest intervals, and name the images whose label is suspected. The folder is
    ``DATA-MODEL-5-folds`` in ``output``, or ``name``; the same call resumes it.

    Args:
        data: as for `eanet.train`.
        folds: how many.
        **settings: as for `eanet.train`.

    Raises:
        EanetError: anything that the caller can fix, in one line.
        KeyboardInterrupt: after Ctrl-C; the same call resumes.

    Examples:
        >>> whole = eanet.cross_validate("digits", folds=2, model="keras_mlp", epochs=1)
        >>> len(whole.accuracies)
        2
    """
    asked = TrainSettings.with_recipe(folds=folds, **settings)
    asked = asked.model_copy(update={"data": locate(data, asked.output / KEPT)})
    if asked.folds is None or asked.fold is not None:
        raise WrongArgumentError("cross-validation trains with every fold: leave out fold")
    if process_counts()[0] > 1:
        raise EanetError(
            "folds are trained by one process: for torchrun, add --fold 1, then 2, ..."
        )
    folder, planned = _prepare(asked)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"fold-{fold}" for fold in range(1, asked.folds + 1)]
    with lock_folder(folder):
        for fold, path in enumerate(paths, 1):
            own = {"fold": fold, "output": folder, "name": path.name}
            try:
                _train(planned.model_copy(update=own), path)
            except KeyboardInterrupt:
                notice(f"stopped at fold {fold} of {asked.folds}; the same command resumes it")
                raise
        with compute_environment(planned):
            report = _pool(paths)
        with replacing_together(folder):
            files = write_files(report, folder)
            files.append(write_page(report, folder / PAGE))
    accuracies, suspects = (
        ((), ()) if report.folds is None else (report.folds.accuracies, report.folds.suspects)
    )
    return CrossValidation(
        folder, tuple(paths), report.metrics, tuple(accuracies), suspects, tuple(files)
    )


def _prepare(asked: TrainSettings) -> tuple[Path, TrainSettings]:
    """Return the folder, and the settings of all folds with what was left open recommended."""
    with compute_environment(asked):
        inputs = open_inputs(asked.model_copy(update={"fold": 1}))
        whole = replace(inputs, settings=inputs.settings.model_copy(update={"fold": None}))
        (planned, defaults), _ = plan_run(whole, Machine.here(asked.device))
    folder = asked.output / (asked.name or f"{planned.name}-{asked.folds}-folds")
    inputs.source.check_outside(folder, planned)
    check_writable(folder)
    if is_run(folder):
        raise EanetError(f"{folder} is a run directory; choose another --name")
    show_defaults(defaults)
    return folder, fill(inputs.settings, defaults)


def _train(settings: TrainSettings, path: Path) -> None:
    """Train the run of a fold, or what is left of it, and evaluate it."""
    what = f"fold {settings.fold} of {settings.folds}"
    run = RunDirectory(path)
    if not is_run(path):
        notice(what)
        run.remove_unbegun()
        launch(settings)
    else:
        _check_same(settings, run)
        # The first and the last file of a report: a process may be killed between them.
        if (path / METRICS_FILE).is_file() and (path / PAGE).is_file():
            notice(f"{what}: already done")
            return
        notice(f"{what}: resuming")
        resume(path)
    with compute_environment(settings):
        evaluate_trained(path)


def _check_same(settings: TrainSettings, run: RunDirectory) -> None:
    """Raise an `EanetError` if a fold was trained with other settings or on other images."""
    config = run.read_config()
    earlier = config.settings.model_dump(mode="json", exclude=_FREE)
    now = settings.model_dump(mode="json", exclude=_FREE)
    if differing := [f"{k} {earlier[k]}, not {v}" for k, v in now.items() if earlier[k] != v]:
        raise EanetError(
            f"{run.path} was trained with {'; '.join(differing)}; choose another --name"
        )
    source = open_source(config.resolved.data)
    run.check_data(load_run_data(run, source, config.resolved), "choose another --name")


def _pool(paths: Sequence[Path]) -> Report:
    """Let each run answer for its fold, and report on the answers for all images."""
    config = RunDirectory.open(paths[0]).read_config()
    settings, source = config.resolved, open_source(config.resolved.data)
    splits = source.load_splits(settings)
    groups = groups_of(splits, settings)
    numbers = folds_of(splits, settings, groups)
    rows = np.flatnonzero(numbers != NEVER)
    images = replace(splits.train, groups=groups).subset(rows)
    numbers = numbers[rows]
    logits = np.empty((len(rows), len(images.classes)), np.float32)
    for fold, path in enumerate(paths, 1):
        members = np.flatnonzero(numbers == fold)
        held_out, record = images.subset(members), RunDirectory(path).read_images()
        if record is None or not record.holds(held_out, "test"):
            raise EanetError(
                f"the images are no longer those that {path} was tested on; choose another --name"
            )
        device = device_or_other(config.settings.device)
        logits[members] = evaluate_model(load_model(path), held_out, device=device).logits
    evaluation = Evaluation(
        logits, images.labels, images.classes, settings.label_smoothing, groups=images.groups
    )
    suspects = find_label_suspects(evaluation.probabilities, images.labels, images.classes)
    accuracies = fold_accuracies(evaluation.in_top(1), numbers, images.groups)
    metrics = evaluation.metrics()
    for k in (1, 5):
        low, high = cross_validated_interval(evaluation.in_top(k), numbers, images.groups)
        metrics |= {f"top{k}_low": low, f"top{k}_high": high}
    metrics |= {
        "folds": len(paths),
        "top1_sd": float(np.std([row.top1 for row in accuracies], ddof=1)),
        "label_suspects": len(suspects),
    }
    return Report(
        model=load_model(paths[0]).config.name,
        data=source.name,
        split="out-of-fold",
        metrics=metrics,
        images=images,
        evaluation=evaluation,
        folds=Folds(numbers, accuracies, suspects),
        findings=_findings([RunDirectory(path).read_config().data.findings for path in paths]),
    )


def _findings(of_folds: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return what was found in all folds alike, and examples of what differs between them.

    Args:
        of_folds: what was found about the images of each run.
    """
    first, *others = of_folds
    everywhere = [text for text in first if all(text in other for other in others)]
    examples: dict[str, str] = {}  # by text without its numbers
    folds: dict[str, set[int]] = {}
    for fold, findings in enumerate(of_folds, 1):
        for text in findings:
            if text not in everywhere:
                kind = re.sub(r"\d[\d,.]*", "", text)
                examples.setdefault(kind, f"such as fold {fold}: {text}")
                folds.setdefault(kind, set()).add(fold)
    some = [f"in {len(folds[k])} of the {len(of_folds)} folds, {examples[k]}" for k in examples]
    return (*everywhere, *some)
