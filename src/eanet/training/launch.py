"""From settings to a finished run: data, engine, model and directory, put together."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from lightning_fabric import Fabric

from eanet.config import Recipe, ResolvedSettings, TrainSettings
from eanet.console import notice
from eanet.data.batches import default_batch_size, derive_seed
from eanet.data.sources import load_dataset, locate
from eanet.data.splits import Dataset
from eanet.device import resolve_device
from eanet.files import alone
from eanet.models import Classifier, create_model
from eanet.models.registry import read_name
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
from eanet.training.run_directory import MODELS, RunDirectory, data_options
from eanet.training.teacher import Teacher
from eanet.training.tensorboard import check_tensorboard
from eanet.training.trainer import Trainer
from eanet.training.updates import WEIGHTS, check_shares


def launch(settings: TrainSettings) -> RunDirectory:
    """Train from the start into a new run directory.

    Raises:
        EanetError: anything the user can put right, before the long work where possible.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    began = time.monotonic()
    if settings.model is not None:
        read_name(settings.model)  # a wrong one is told of before the data are read
    settings = with_architecture(located(settings))
    if settings.teacher is not None:
        find_model(settings.teacher)  # likewise
    if settings.tensorboard:
        check_tensorboard()
    fabric = create_fabric(settings)
    with fabric.rank_zero_first(local=True):  # the others find what the first has unpacked
        named, choices = decide(settings)
    chosen = with_scale(named, settings.image_size)
    dataset = load_run_data(chosen, fabric)
    tell([choice for choice in choices if getattr(chosen, choice.setting) == choice.value])
    teacher = find_teacher(chosen, dataset)
    model = fresh_model(chosen, dataset)
    resolved = resolve(chosen, dataset, model, teacher)
    check_shares(min(resolved.batch_size, len(dataset.train)), fabric)
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
        # Called after the model that was asked for or chosen, whatever patch size its weights need.
        run = RunDirectory.create(resolved.model_copy(update={"model": named.model}))
        run.write_settings(settings, resolved, dataset)
        if search is not None:
            search.write(run.path / SEARCH)
    run = fabric.broadcast(run)
    notice(f"writing to {run.path}")
    with _alone(run, fabric):
        Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run


def located(settings: TrainSettings) -> TrainSettings:
    """The settings with paths that hold from any folder, to resume and evaluate the run from."""
    found: dict[str, str | Path] = {"data": locate(settings.data)}
    if settings.data_dir is not None:
        found["data_dir"] = settings.data_dir.expanduser().resolve()
    for name in MODELS:
        if (where := getattr(settings, name)) is not None:
            found[name] = locate_model(where)
    return settings.model_copy(update=found)  # what was not given stays so


def resume(path: Path, **machine: str | int | None) -> RunDirectory:
    """Go on with a run where its last checkpoint stands.

    Args:
        path: the run directory.
        **machine: ``device``, ``precision``, ``compile`` or ``threads``, where they shall differ
            from the run's own; the result is then no longer the same to the bit.

    Raises:
        EanetError: there is no such run, another process is training it, or its data are no longer
            the same.
    """
    began = time.monotonic()
    run = RunDirectory.open(path)
    _, resolved = run.read_settings()
    given = {name: value for name, value in machine.items() if value is not None}
    resolved = ResolvedSettings.parse({**resolved.model_dump(), **given})
    fabric = create_fabric(resolved)
    with _alone(run, fabric):
        dataset = load_run_data(resolved, fabric)
        run.check_data(dataset)
        model = fresh_model(once_begun(resolved, run), dataset)
        teacher = find_teacher(resolved, dataset)
        compiled, _ = compiling(resolved, dataset, model, teacher)
        resolved = resolved.model_copy(update={"compile": "on" if compiled else "off"})
        Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run


def _alone(run: RunDirectory, fabric: Fabric) -> AbstractContextManager[None]:
    """`alone` for the first of the processes that train together, which stands for all."""
    return alone(run.path) if fabric.is_global_zero else nullcontext()


def load_run_data(settings: TrainSettings, fabric: Fabric) -> Dataset:
    """The data set that a run is made from, with what there is to say of it printed."""
    with fabric.rank_zero_first(local=True):  # the others find what the first has downloaded
        dataset = load_dataset(settings.data, data_options(settings))
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
    """The model with its first weights, and the normalisation of the training images or `init`."""
    assert settings.model is not None, "it is chosen before"
    _, own = read_name(settings.model)  # which may say more than the recipe
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
    """Whom the run learns from, if anybody; errors as those of `Teacher`."""
    if settings.teacher is None:
        return None
    return Teacher(settings.teacher, dataset.train.classes)


def compiling(
    settings: TrainSettings, dataset: Dataset, model: Classifier, teacher: Teacher | None
) -> tuple[bool, str]:
    """What `decide_compile` says of a run."""
    operations = training_operations(model, len(dataset.train) * settings.epochs, teacher)
    return decide_compile(settings, resolve_device(settings.device), operations)


def resolve(
    settings: TrainSettings, dataset: Dataset, model: Classifier, teacher: Teacher | None = None
) -> ResolvedSettings:
    """Settings with every choice made, each printed; a rate yet to be found is the default."""
    train = dataset.train
    device = resolve_device(settings.device)
    batch_size = settings.batch_size or default_batch_size(len(train))
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
