"""From settings to a finished run: data, engine, model and directory, put together."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning_fabric import Fabric

from eanet.config import TrainSettings
from eanet.console import notice
from eanet.data.batches import default_batch_size, derive_seed
from eanet.data.sources import load_dataset, locate
from eanet.data.splits import Dataset
from eanet.device import resolve_device
from eanet.models import Classifier, create_model
from eanet.models.registry import read_name
from eanet.training.engine import (
    create_fabric,
    decide_compile,
    resolve_precision,
    training_operations,
)
from eanet.training.run_directory import RunDirectory, data_options
from eanet.training.trainer import WEIGHTS, Trainer


def launch(settings: TrainSettings) -> RunDirectory:
    """Train from the start into a new run directory.

    Raises:
        EanetError: anything the user can put right, before the long work where possible.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    read_name(settings.model)  # a wrong one is told of before the data are read
    # So that the run can be resumed and evaluated from any folder.
    settings = settings.model_copy(
        update={
            "data": locate(settings.data),
            "data_dir": settings.data_dir and settings.data_dir.expanduser().resolve(),
        }
    )
    fabric = create_fabric(settings)
    dataset = load_run_data(settings, fabric)
    model = fresh_model(settings, dataset)
    resolved = resolve(settings, dataset, model)
    run = RunDirectory(Path())
    if fabric.is_global_zero:
        run = RunDirectory.create(settings)
        run.write_settings(settings, resolved, dataset)
    run = fabric.broadcast(run)
    notice(f"writing to {run.path}")
    Trainer(resolved, dataset, run, fabric, model).fit()
    return run


def resume(path: Path, **machine: str | int | None) -> RunDirectory:
    """Go on with a run where its last checkpoint stands.

    Args:
        path: the run directory.
        **machine: ``device``, ``precision``, ``compile`` or ``threads``, where they shall differ
            from the run's own; the result is then no longer the same to the bit.

    Raises:
        EanetError: there is no such run, or its data are no longer the same.
    """
    run = RunDirectory.open(path)
    settings, resolved = run.read_settings()
    given = {name: value for name, value in machine.items() if value is not None}
    resolved = TrainSettings.parse({**resolved.model_dump(), **given})
    fabric = create_fabric(resolved)
    dataset = load_run_data(settings, fabric)
    run.check_data(dataset)
    Trainer(resolved, dataset, run, fabric, fresh_model(settings, dataset)).fit()
    return run


def load_run_data(settings: TrainSettings, fabric: Fabric) -> Dataset:
    """The data set that a run is made from, with its notes printed."""
    with fabric.rank_zero_first(local=True):  # the others find what the first has downloaded
        dataset = load_dataset(settings.data, data_options(settings))
    if fabric.is_global_zero:
        for note in dataset.notes:
            notice(note)
    return dataset


def fresh_model(settings: TrainSettings, dataset: Dataset) -> Classifier:
    """The model with its first weights, and the normalisation of the training images."""
    torch.manual_seed(derive_seed(settings.seed, WEIGHTS))
    return create_model(
        settings.model,
        classes=dataset.train.classes,
        image_size=dataset.train.image_size,
        normalization=dataset.train.mean_std(),
        dropout=settings.dropout,
        drop_path=settings.drop_path,
    )


def resolve(settings: TrainSettings, dataset: Dataset, model: Classifier) -> TrainSettings:
    """Settings with every choice made, each printed with its reason."""
    train, validation = dataset.train, dataset.validation
    counts = f"{len(train):,} training, {len(validation or ()):,} validation"
    size = train.image_size
    notice(
        f"{dataset.name}: {counts}, {len(dataset.test):,} test images, "
        f"{size} x {size}, of {len(train.classes)} classes"
    )
    device = resolve_device(settings.device)
    batch_size = settings.batch_size or default_batch_size(len(train))
    operations = training_operations(model, len(train) * settings.epochs)
    compiled, why = decide_compile(settings, device, operations)
    resolved = settings.model_copy(
        update={
            "batch_size": batch_size,
            "image_size": size,
            "flip": dataset.mirrorable if settings.flip is None else settings.flip,
            "device": device,
            "precision": resolve_precision(settings.precision, device),
            "compile": "on" if compiled else "off",
            "threads": torch.get_num_threads(),
        }
    )
    notice(
        f"{settings.model}: {model.num_parameters:,} parameters; recipe {settings.recipe}, "
        f"epochs {settings.epochs}, batch size {batch_size}"
    )
    notice(
        f"{device}, {resolved.precision}, threads {resolved.threads}, "
        f"{'compiled' if compiled else 'not compiled'} ({why})"
    )
    return resolved
