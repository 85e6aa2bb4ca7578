"""From settings to a finished run: puts together data, engine, model and run directory."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from lightning_fabric import Fabric

from eanet.config import Recipe, ResolvedSettings, TrainSettings
from eanet.console import notice
from eanet.data.batches import default_batch_size, derive_seed
from eanet.data.source import open_source
from eanet.data.splits import Dataset
from eanet.device import resolve_device
from eanet.files import check_writable, lock_folder
from eanet.models import Classifier, create_model
from eanet.models.registry import parse_model_name
from eanet.models.weights import find_model, locate_model
from eanet.training.defaults import decide, tell
from eanet.training.engine import (
    create_fabric,
    decide_compile,
    resolve_precision,
    training_operations,
)
from eanet.training.initial import RECIPE, begin_with, once_begun, with_architecture, with_scale
from eanet.training.lr_search import SEARCH, range_test
from eanet.training.run_directory import MODELS, RunDirectory
from eanet.training.teacher import Teacher
from eanet.training.tensorboard import check_tensorboard
from eanet.training.trainer import Trainer
from eanet.training.updates import WEIGHTS, check_shares


def launch(settings: TrainSettings) -> RunDirectory:
    """Run a new training in a new run directory.

    Raises:
        EanetError: anything the user can fix, raised before the long work where possible.
        KeyboardInterrupt: after Ctrl-C; the state is saved if possible.
    """
    began = time.monotonic()
    if settings.model is not None:
        parse_model_name(settings.model)  # report a wrong name before reading the data
    check_writable(settings.output)
    open_source(settings.data).check_outside(settings.output)
    settings = with_architecture(located(settings))
    if settings.teacher is not None:
        find_model(settings.teacher)  # likewise
    if settings.tensorboard:
        check_tensorboard()
    fabric = create_fabric(settings)
    with fabric.rank_zero_first(local=True):  # the others reuse what the first has unpacked
        named, choices = decide(settings)
    chosen = with_scale(named, settings.image_size)
    dataset = load_run_data(chosen, fabric)
    tell([choice for choice in choices if getattr(chosen, choice.setting) == choice.value])
    teacher = find_teacher(chosen, dataset)
    model = fresh_model(chosen, dataset)
    resolved = resolve(chosen, dataset, model, teacher)
    check_shares(resolved.batch_size, fabric)
    search = None
    if chosen.learning_rate == "find":
        search = range_test(resolved, dataset.train, fabric, model, teacher)
        resolved = resolved.model_copy(update={"learning_rate": search.suggestion})
        notice(
            f"learning rate {resolved.learning_rate:g}: half the rate of the lowest loss, "
            f"tried from {search.rates[0]:g} to {search.rates[-1]:.2g} in {len(search.rates)} steps"
        )
    run = RunDirectory(Path())
    if fabric.is_global_zero:
        # Named after the model asked for or chosen, without the patch size that `init` may add.
        run = RunDirectory.create(resolved.model_copy(update={"model": named.model}), dataset.name)
        run.write_settings(settings, resolved, dataset)
        if search is not None:
            search.write(run.path / SEARCH)
    run = fabric.broadcast(run)
    notice(f"writing to {run.path}")
    with _lock(run, fabric):
        Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run


def located(settings: TrainSettings) -> TrainSettings:
    """Return the settings with absolute paths, to resume and evaluate the run from any folder."""
    found: dict[str, str | Path] = {"data": open_source(settings.data).location}
    if settings.data_dir is not None:
        found["data_dir"] = settings.data_dir.resolve()
    for name in MODELS:
        if (where := getattr(settings, name)) is not None:
            found[name] = locate_model(where)
    return settings.model_copy(update=found)  # what was not given stays unset


def resume(path: Path, **machine: str | int | None) -> RunDirectory:
    """Resume a run from its last checkpoint.

    Args:
        path: the run directory.
        **machine: ``device``, ``precision``, ``compile`` or ``threads``, to override the run's own;
            the result is then no longer bit-identical.

    Raises:
        EanetError: there is no such run, another process is training it, or its data have changed.
    """
    began = time.monotonic()
    run = RunDirectory.open(path)
    _, resolved = run.read_settings()
    given = {name: value for name, value in machine.items() if value is not None}
    resolved = ResolvedSettings.parse({**resolved.model_dump(), **given})
    fabric = create_fabric(resolved)
    with _lock(run, fabric):
        dataset = load_run_data(resolved, fabric)
        run.check_data(dataset)
        model = fresh_model(once_begun(resolved, run), dataset)
        teacher = find_teacher(resolved, dataset)
        compiled, _ = compiling(resolved, dataset, model, teacher)
        resolved = resolved.model_copy(update={"compile": "on" if compiled else "off"})
        Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run


def _lock(run: RunDirectory, fabric: Fabric) -> AbstractContextManager[None]:
    """`lock_folder`, in the first of the training processes on behalf of all."""
    return lock_folder(run.path) if fabric.is_global_zero else nullcontext()


def load_run_data(settings: TrainSettings, fabric: Fabric) -> Dataset:
    """Load the data set of a run and print its notes and sizes."""
    with fabric.rank_zero_first(local=True):  # the others reuse what the first has downloaded
        dataset = open_source(settings.data).load(settings)
    if fabric.is_global_zero:
        for note in dataset.notes:
            notice(note)
    train, size = dataset.train, dataset.train.image_size
    counts = f"{len(train):,} training, {len(dataset.validation or ()):,} validation"
    notice(
        f"{dataset.name}: {counts}, {len(dataset.test):,} test images, "
        f"{size} x {size}, of {len(train.classes)} classes"
    )
    return dataset


def fresh_model(settings: TrainSettings, dataset: Dataset) -> Classifier:
    """Create the model with its initial weights and normalisation, from the images or `init`."""
    assert settings.model is not None, "it is chosen before"
    _, own = parse_model_name(settings.model)  # take precedence over the recipe's
    torch.manual_seed(derive_seed(settings.seed, WEIGHTS))
    model = create_model(
        settings.model,
        classes=dataset.train.classes,
        image_size=dataset.train.image_size,
        normalization=dataset.train.mean_std(),
        **{name: getattr(settings, name) for name in RECIPE if name not in own},
    )
    if settings.init is not None:
        begin_with(model, settings.init)
    return model


def find_teacher(settings: TrainSettings, dataset: Dataset) -> Teacher | None:
    """Load the teacher of a run, if it has one; raises what `Teacher` raises."""
    if settings.teacher is None:
        return None
    return Teacher(settings.teacher, dataset.train.classes)


def compiling(
    settings: TrainSettings, dataset: Dataset, model: Classifier, teacher: Teacher | None
) -> tuple[bool, str]:
    """Apply `decide_compile` to a run."""
    operations = training_operations(model, len(dataset.train) * settings.epochs, teacher)
    return decide_compile(settings, resolve_device(settings.device), operations)


def resolve(
    settings: TrainSettings, dataset: Dataset, model: Classifier, teacher: Teacher | None = None
) -> ResolvedSettings:
    """Resolve all open settings and print a summary; a rate yet to be found is the default."""
    train = dataset.train
    device = resolve_device(settings.device)
    batch_size = min(settings.batch_size or default_batch_size(len(train)), len(train))
    compiled, why = compiling(settings, dataset, model, teacher)
    rate = settings.learning_rate
    choices = {
        "learning_rate": Recipe().learning_rate if rate == "find" else rate,
        "batch_size": batch_size,
        "image_size": train.image_size,
        "flip": dataset.mirrorable if settings.flip is None else settings.flip,
        "device": device,
        "precision": resolve_precision(settings.precision, device),
        "compile": "on" if compiled else "off",
        "threads": torch.get_num_threads(),
    }
    resolved = ResolvedSettings.parse(settings.model_dump() | choices)
    limit = f"epochs {settings.epochs}"
    if settings.minutes is not None:
        limit = f"minutes {settings.minutes:g}"
    if settings.teacher is not None:
        limit += f", teacher {settings.teacher}"
    notice(
        f"{resolved.model}: {model.num_parameters:,} parameters; recipe {resolved.recipe}, "
        f"{limit}, batch size {batch_size}"
    )
    notice(
        f"{device}, {resolved.precision}, threads {resolved.threads}, "
        f"{'compiled' if compiled else 'not compiled'} ({why})"
    )
    return resolved
