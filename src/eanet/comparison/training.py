"""Train the runs of a comparison: one per model and seed, under the same conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml

from eanet.comparison.runs import Predictions, Run, is_run, write_peak_memory
from eanet.comparison.settings import PER_RUN
from eanet.config import TrainSettings, parse_yaml, read_text
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.source import open_source
from eanet.data.splits import Dataset
from eanet.device import resolve_device
from eanet.errors import EanetError, WrongArgumentError, describe
from eanet.files import check_writable, lock_folder, replacing
from eanet.memory import peak_memory
from eanet.metrics.evaluation import Evaluation
from eanet.models.weights import model_digest
from eanet.process import in_own_process
from eanet.training.defaults import decide, tell
from eanet.training.engine import decide_compile, training_operations
from eanet.training.launch import find_teacher, fresh_model, launch, located, resume
from eanet.training.run_directory import RunDirectory, data_fingerprint
from eanet.training.teacher import Teacher

CONDITIONS = "comparison.yaml"


@dataclass(frozen=True)
class Failure:
    """A run that failed."""

    model: str
    seed: int
    reason: str


class EvaluatedRun(Protocol):
    """A finished run on its test images."""

    @property
    def images(self) -> ImageSet:
        """The test images."""

    @property
    def evaluation(self) -> Evaluation:
        """Of the run's model on them."""


Evaluate = Callable[[Path], EvaluatedRun]  # a function of a module: it is passed to processes


def train_all(
    models: Sequence[str], seeds: int, output: Path | None, evaluate: Evaluate, **given: Any
) -> tuple[list[Run], list[Failure], Path]:
    """Train every model with every seed, or resume an earlier call that was interrupted.

    Args:
        models: their names.
        seeds: number of seeds: 0, 1, ...
        output: folder of the comparison; ``runs/compare-DATA-RECIPE`` by default.
        evaluate: evaluates a finished run, in the process that trained it.
        **given: settings that all runs share.

    Returns:
        The finished runs, the failed ones, and the folder.

    Raises:
        EanetError: an invalid setting, models and data that do not match, or a folder that holds
            something else or is in use by another process.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with everything saved.
    """
    if own := [name for name in PER_RUN if name in given]:
        raise WrongArgumentError(
            f"leave out {', '.join(own)}: a comparison trains each model from random weights, "
            "with seeds 0, 1, ..."
        )
    settings, choices = decide(located(TrainSettings.resolve(**given, model=models[0])))
    tell(choices)
    source = open_source(settings.data)
    folder = output or Path("runs") / f"compare-{source.name}-{Path(str(settings.recipe)).stem}"
    source.check_outside(folder)
    check_writable(folder)
    settings = _agree(folder, settings, models)
    with lock_folder(folder):
        runs, failures = _train_each(models, seeds, folder, evaluate, settings)
    return runs, failures, folder


def _train_each(
    models: Sequence[str], seeds: int, folder: Path, evaluate: Evaluate, settings: TrainSettings
) -> tuple[list[Run], list[Failure]]:
    """Return the finished runs and the failed ones."""
    runs: list[Run] = []
    failures: list[Failure] = []
    # Seed by seed, so that other load on the machine affects all models alike.
    jobs = [(model, seed) for seed in range(seeds) for model in models]
    for number, (model, seed) in enumerate(jobs, 1):
        name = f"{model.replace(':', '-').replace(',', '-')}-seed{seed}"
        path = folder / name
        what = f"run {number} of {len(jobs)}: {model}, seed {seed}"
        if Predictions.read(path) is not None:
            notice(f"{what}: already done")
        else:
            notice(f"{what}: resuming" if is_run(path) else what)
            own_settings = {"model": model, "seed": seed, "output": folder, "name": name}
            try:
                run_settings = settings.model_copy(update=own_settings)
                in_own_process(train_and_evaluate, run_settings, evaluate)
            except KeyboardInterrupt:
                notice(f"stopped at run {number} of {len(jobs)}; the same command resumes it")
                raise
            except Exception as error:
                failures.append(Failure(model, seed, _reason(error)))
                notice(f"{model}, seed {seed} failed: {failures[-1].reason}")
                continue
        runs.append(Run.read(path))
    return runs, failures


def train_and_evaluate(settings: TrainSettings, evaluate: Evaluate) -> None:
    """Train one run in this process; save its predictions and this process's peak memory.

    Args:
        settings: of the run, which is resumed if it exists.
        evaluate: evaluates the finished run.
    """
    assert settings.name is not None
    path = settings.output / settings.name
    try:
        if is_run(path):
            resume(path)
        else:
            _clear(path)
            launch(settings)
    finally:
        if is_run(path):
            device = RunDirectory(path).read_settings()[1].device
            write_peak_memory(path, peak_memory(torch.device(device)))
    evaluated = evaluate(path)
    Predictions.of(path, evaluated.images.fingerprint(), evaluated.evaluation).write(path)


def _clear(path: Path) -> None:
    """Remove what is left of a run that was killed before it wrote its settings."""
    with suppress(FileNotFoundError):
        for leftover in path.glob(".partial-*"):
            leftover.unlink()
        try:
            path.rmdir()
        except OSError as error:
            if path.exists():
                raise EanetError(
                    f"{path} is in the way: it is not a run directory; move it away"
                ) from error


def _agree(folder: Path, settings: TrainSettings, models: Sequence[str]) -> TrainSettings:
    """Return the settings of all runs, after checking that each can start and fits the folder."""
    dataset = open_source(settings.data).load(settings)
    teacher = find_teacher(settings, dataset)
    fingerprint = data_fingerprint(dataset)
    digest = None if settings.teacher is None else model_digest(settings.teacher)
    shared = settings.model_dump(mode="json", exclude=set(PER_RUN))
    compiled = _compile(settings, dataset, models, teacher)
    file = folder / CONDITIONS
    if not file.is_file():
        if folder.exists() and any(folder.iterdir()):
            raise EanetError(f"{folder} holds no comparison; name another folder with --output")
        kept = {"settings": shared, "compile": compiled, "fingerprint": fingerprint}
        kept |= {} if digest is None else {"teacher": digest}
        with replacing(file) as partial:
            partial.write_text(yaml.safe_dump(kept, sort_keys=False), "utf-8")
        return settings.model_copy(update={"compile": compiled})
    content = parse_yaml(read_text(file), str(file))
    there = TrainSettings.parse(content["settings"], str(file)).model_dump(mode="json")
    differing = [f"{k} {there[k]}, not {value}" for k, value in shared.items() if there[k] != value]
    if differing:
        raise EanetError(
            f"{folder} holds a comparison with {'; '.join(differing)}; name another folder with "
            "--output"
        )
    if content["fingerprint"] != fingerprint:
        raise EanetError(
            f"the images are no longer those that {folder} was begun with; name another folder "
            "with --output"
        )
    if content.get("teacher") != digest:
        raise EanetError(
            f"the teacher is no longer the model that {folder} was begun with; name another folder "
            "with --output"
        )
    return settings.model_copy(update={"compile": content["compile"]})


def _compile(
    settings: TrainSettings, dataset: Dataset, models: Sequence[str], teacher: Teacher | None
) -> str:
    """Return "on" if compiling pays off for any model, else "off": times must be comparable."""
    device = resolve_device(settings.device)
    images = len(dataset.train) * settings.epochs
    built = [fresh_model(settings.model_copy(update={"model": m}), dataset) for m in models]
    operations = max(training_operations(model.eval(), images, teacher) for model in built)
    return "on" if decide_compile(settings, device, operations)[0] else "off"


def _reason(error: Exception) -> str:
    """Return one line on why a run failed."""
    if isinstance(error, BrokenProcessPool):
        return "its process was killed, probably out of memory; try a smaller --batch-size"
    return str(error) if isinstance(error, EanetError) else describe(error)
