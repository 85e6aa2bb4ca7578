"""Train the runs of a comparison: one per model and seed, under the same conditions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import yaml
from pydantic import BaseModel

from eanet.comparison.entrants import Entrant
from eanet.comparison.runs import Predictions, Run, write_peak_memory
from eanet.comparison.settings import PER_RUN
from eanet.config import RUNS, PlannedSettings, TrainSettings, is_run
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.record import ImageRecord, joined
from eanet.data.splits import Dataset
from eanet.device import Machine
from eanet.errors import EanetError, NotStartedError, WrongArgumentError, error_line
from eanet.files import check_writable, lock_folder, read_text, replacing
from eanet.memory import peak_memory
from eanet.metrics.evaluation import Evaluation
from eanet.models import Classifier
from eanet.parsing import checked, parse_yaml
from eanet.process import in_own_process
from eanet.threads import OtherLoad, resolve_threads
from eanet.training.defaults import fill, recommend
from eanet.training.engine import compute_environment, configure_process, training_operations
from eanet.training.feasibility import check_feasible
from eanet.training.launch import launch
from eanet.training.messages import show_defaults
from eanet.training.plan import plan, resolve, resolve_compile
from eanet.training.prepare import Inputs, initial_model, open_inputs
from eanet.training.resume import resume
from eanet.training.run_config import data_fingerprint
from eanet.training.run_directory import RunDirectory
from eanet.training.teacher import Teacher
from eanet.unfinished import PREFIX

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


class _Agreed(BaseModel):
    """The conditions of a comparison, as kept in its folder."""

    settings: dict[str, Any]
    fingerprint: str | int  # of digits alone, it may be a number
    compile: Literal["on", "off"]
    threads: int | None = None  # earlier versions did not keep them
    teacher: str | None = None


Evaluate = Callable[[Path], EvaluatedRun]  # a function of a module: it is passed to processes


def train_all(
    entrants: Sequence[Entrant], seeds: int, output: Path | None, evaluate: Evaluate, **given: Any
) -> tuple[list[Run], list[Failure], Path]:
    """Train every model with every seed, or resume an earlier call that was interrupted.

    Args:
        entrants: the models.
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
            f"leave out {', '.join(own)}: a comparison trains each model with the seeds 0, 1, ...; "
            "to fine-tune trained models, name these"
        )
    # Recommendations are for fine-tuning if that is done at all.
    leading = next((entrant for entrant in entrants if entrant.trained), entrants[0])
    start = {name: value for name, value in leading.settings.items() if value is not None}
    asked, load = TrainSettings.with_recipe(**given, **start), OtherLoad()
    with compute_environment(asked):  # since models are built to count their operations
        inputs = open_inputs(asked)
        machine, source = Machine.here(asked.device), inputs.source
        images = source.defaults or source.statistics(asked)
        defaults = recommend(inputs.settings, images, machine.device)
        show_defaults(defaults)
        if leading.trained is None:
            _tell_of_pretrained(given, inputs, machine)
        settings = fill(inputs.settings, defaults)
        folder = output or RUNS / f"compare-{source.name}-{Path(str(settings.recipe)).stem}"
        source.check_outside(folder, settings)
        check_writable(folder)
        # What one of the trained models has seen is a test image of no run.
        seen = joined(*(entrant.trained.images for entrant in entrants if entrant.trained))
        inputs = replace(inputs, settings=settings)
        settings = _agree(folder, inputs, entrants, seen, machine, load)
    train = functools.partial(train_and_evaluate, evaluate=evaluate, seen=seen)
    with lock_folder(folder):
        runs, failures = _train_each(entrants, seeds, folder, train, settings)
    return runs, failures, folder


def _tell_of_pretrained(given: Mapping[str, Any], inputs: Inputs, machine: Machine) -> None:
    """Say so if `eanet train` would begin with trained weights, which none of these runs does."""
    source, settings = inputs.source, TrainSettings.with_recipe(**given)
    for default in recommend(
        settings, source.defaults or source.statistics(settings), machine.device
    ):
        if default.setting == "init" and default.value is not None:
            notice(
                f"all runs begin with random weights; eanet train alone would fine-tune "
                f"{default.value} ({default.reason}): name it among the models to compare it, too"
            )


def _train_each(
    entrants: Sequence[Entrant],
    seeds: int,
    folder: Path,
    train: Callable[[TrainSettings, Path], None],
    settings: TrainSettings,
) -> tuple[list[Run], list[Failure]]:
    """Return the finished runs and the failed ones."""
    runs: list[Run] = []
    failures: list[Failure] = []
    # Seed by seed, so that other load on the machine affects all models alike.
    jobs = [(entrant, seed) for seed in range(seeds) for entrant in entrants]
    for number, (entrant, seed) in enumerate(jobs, 1):
        name, model = f"{entrant.file_name}-seed{seed}", entrant.name
        path = folder / name
        what = f"run {number} of {len(jobs)}: {model}, seed {seed}"
        if Predictions.read(path) is not None:
            notice(f"{what}: already done")
        else:
            notice(f"{what}: resuming" if is_run(path) else what)
            own_settings = {**entrant.settings, "seed": seed, "output": folder, "name": name}
            try:
                run_settings = settings.model_copy(update=own_settings)
                in_own_process(train, run_settings, path)
            except KeyboardInterrupt:
                notice(f"stopped at run {number} of {len(jobs)}; the same command resumes it")
                raise
            except NotStartedError:
                raise
            except Exception as error:
                failures.append(Failure(model, seed, _reason(error)))
                notice(f"{model}, seed {seed} failed: {failures[-1].reason}")
                continue
        run = Run.read(path, entrant.name if entrant.trained else None)
        if run.settings.epochs != settings.epochs:
            raise EanetError(
                f"{path} has {run.settings.epochs} epochs by now, and the others "
                f"{settings.epochs}; move it away to train it anew"
            )
        runs.append(run)
    return runs, failures


def train_and_evaluate(
    settings: TrainSettings, path: Path, evaluate: Evaluate, seen: ImageRecord | None = None
) -> None:
    """Train one run in this process; save its predictions and this process's peak memory.

    Args:
        settings: of the run.
        path: its directory; it is resumed if it exists.
        evaluate: evaluates the finished run.
        seen: images that one of the trained models of the comparison has seen.
    """
    configure_process(settings.threads)
    try:
        run = RunDirectory(path)
        if not is_run(path):
            run.remove_unbegun()
            launch(settings, seen)
        elif not run.is_finished():
            resume(path)
    finally:
        if is_run(path):
            device = RunDirectory(path).read_config().resolved.device
            write_peak_memory(path, peak_memory(torch.device(device)))
    evaluated = evaluate(path)
    Predictions.of(path, evaluated.images, evaluated.evaluation).write(path)


def _agree(
    folder: Path,
    inputs: Inputs,
    entrants: Sequence[Entrant],
    seen: ImageRecord | None,
    machine: Machine,
    load: OtherLoad,
) -> TrainSettings:
    """Return the settings of all runs, after checking that each can start and fits the folder."""
    settings, trained = inputs.settings, inputs.teacher
    plans = _plans(inputs, entrants)
    if any(entrant.trained for entrant in entrants):  # whose size may be what decided
        settings = settings.model_copy(update={"image_size": plans[0].image_size})
    dataset = inputs.source.load(settings, start=seen)
    teacher = Teacher.of(trained, dataset.train.classes)
    fingerprint = data_fingerprint(dataset)
    digest = None if trained is None else trained.digest
    shared = settings.model_dump(mode="json", exclude=set(PER_RUN))
    built = [initial_model(planned, dataset, None) for planned in plans]
    compiled = _compile(plans, built, dataset, teacher, machine)
    file = folder / CONDITIONS
    if not file.is_file():
        # But for what a process left that was killed while it wrote these conditions.
        if folder.exists() and not all(f.name.startswith(PREFIX) for f in folder.iterdir()):
            raise EanetError(
                f"{folder} is not the folder of a comparison that trains; name another with "
                "--output"
            )
        for planned, model in zip(plans, built, strict=True):
            check_feasible(resolve(planned, dataset, 0, machine, 1)[0], dataset, model)
        threads = resolve_threads(settings.threads, load)
        decided = {"compile": compiled, "threads": threads}
        conditions = {"settings": shared, **decided, "fingerprint": fingerprint}
        conditions |= {} if digest is None else {"teacher": digest}
        with replacing(file) as partial:
            partial.write_text(yaml.safe_dump(conditions, sort_keys=False), "utf-8")
        return settings.model_copy(update=decided)
    content = checked(_Agreed, parse_yaml(read_text(file), str(file)), str(file))
    earlier = TrainSettings.parse(content.settings, str(file)).model_dump(mode="json")
    differing = [
        f"{k} {earlier[k]}, not {value}" for k, value in shared.items() if earlier[k] != value
    ]
    if differing:
        raise EanetError(
            f"{folder} holds a comparison with {'; '.join(differing)}; name another folder with "
            "--output"
        )
    if content.fingerprint != fingerprint:
        raise EanetError(
            f"the images are no longer those that {folder} was started with; name another folder "
            "with --output"
        )
    if content.teacher != digest:
        raise EanetError(
            f"the teacher is no longer the model that {folder} was started with; name another "
            "folder with --output"
        )
    kept = settings.threads if content.threads is None else content.threads
    return settings.model_copy(update={"compile": content.compile, "threads": kept})


def _plans(inputs: Inputs, entrants: Sequence[Entrant]) -> list[PlannedSettings]:
    """Plan a run of each model.

    Raises:
        EanetError: they would take images of different sizes.
    """
    plans = [
        plan(
            inputs.settings.model_copy(update=entrant.settings),
            inputs.source,
            (),
            entrant.trained,
        ).settings
        for entrant in entrants
    ]
    for entrant, planned in zip(entrants, plans, strict=True):
        if planned.image_size != plans[0].image_size:
            raise WrongArgumentError(
                f"{entrants[0].name} would take images of {plans[0].image_size} pixels and "
                f"{entrant.name} of {planned.image_size}: say which with --image-size"
            )
    return plans


def _compile(
    plans: Sequence[PlannedSettings],
    built: Sequence[Classifier],
    dataset: Dataset,
    teacher: Teacher | None,
    machine: Machine,
) -> str:
    """Return "on" if compiling pays off for any model, else "off": times must be comparable."""
    images = len(dataset.train) * plans[0].epochs
    operations = max(training_operations(model, images, teacher) for model in built)
    return "on" if resolve_compile(plans[0], operations, machine)[0] else "off"


def _reason(error: Exception) -> str:
    """Return one line on why a run failed."""
    if isinstance(error, BrokenProcessPool):
        return "its process was killed, probably out of memory; try a smaller --batch-size"
    return str(error) if isinstance(error, EanetError) else error_line(error)
