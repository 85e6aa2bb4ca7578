"""Resume an interrupted run, or train a finished one for longer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from eanet.config import PlannedSettings
from eanet.data.source import Source, open_source
from eanet.device import Machine
from eanet.errors import EanetError
from eanet.threads import OtherLoad
from eanet.training.engine import (
    compute_environment,
    create_fabric,
    training_operations,
    use_threads,
)
from eanet.training.extend import extend, extended
from eanet.training.plan import resolve
from eanet.training.prepare import initial_model, load_data
from eanet.training.pretrained import Pretrained
from eanet.training.run_config import RunConfig
from eanet.training.run_data import check_moved, open_run_source
from eanet.training.run_directory import CHECKPOINT, RunDirectory, lost_state
from eanet.training.teacher import Teacher
from eanet.training.trainer import Trainer
from eanet.training.updates import check_shares


def resume(
    path: Path,
    *,
    data: str | Path | None = None,
    epochs: int | None = None,
    **machine: str | int | None,
) -> RunDirectory:
    """Resume a run from its last checkpoint.

    Args:
        path: the run directory.
        data: where its images are now; unset: where they were.
        epochs: in all, as for `extended`; unset: as before.
        **machine: ``device``, ``precision``, ``compile`` or ``threads``, to override the run's own;
            the result is then no longer bit-identical.

    Raises:
        EanetError: there is no such run, another process is training it, its state is lost, or its
            data or a model that it still needs have changed.
    """
    began = time.monotonic()
    run = RunDirectory.open(path)
    given = {name: value for name, value in machine.items() if value is not None}
    settings = _settings(run.read_config(), given)
    with compute_environment(settings):
        here, fabric = Machine.here(settings.device), create_fabric(settings)
        with run.locked(fabric):
            config = run.read_config()
            source = open_run_source(run) if data is None else open_source(data)
            start = run.read_start_images()
            classes = config.data.classes
            try:
                dataset = load_data(source, settings, fabric, classes=classes, start=start)
            except EanetError as error:  # such as a class that is new
                raise EanetError(
                    f"{error}; with other images than before, start a new run, with --init "
                    f"{run.path} to begin with its weights"
                ) from error
            check_moved(run, dataset, source.location)
            if data is not None:
                config = _moved(config, source)
            if epochs is not None:
                config = extended(run, config, epochs)
            settings = _settings(config, given)
            has_weights = (run.path / CHECKPOINT).is_file()
            if not has_weights and len(run.read_history()) > 1:
                raise lost_state(run)
            init = None if has_weights else _reload("init", settings, config, run)
            trained = _reload("teacher", settings, config, run)
            teacher = Teacher.of(trained, dataset.train.classes)
            model = initial_model(settings, dataset, init)
            operations = training_operations(model, len(dataset.train) * settings.epochs, teacher)
            threads = use_threads(settings.threads, OtherLoad(), fabric)
            resolved, _ = resolve(settings, dataset, operations, here, threads)
            check_shares(resolved.batch_size, fabric)
            if fabric.is_global_zero:  # only now: a run that cannot go on stays as it is
                if data is not None or epochs is not None:
                    run.write_config(config)
                if epochs is not None:
                    extend(run, config)
            fabric.barrier()
            Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run


def _settings(config: RunConfig, given: Mapping[str, str | int]) -> PlannedSettings:
    return PlannedSettings.parse({**config.resolved.model_dump(), **given})


def _moved(config: RunConfig, source: Source) -> RunConfig:
    """Return the configuration of a run whose images are where they are now."""
    moved = {
        name: getattr(config, name).model_copy(update={"data": source.location})
        for name in ("settings", "resolved")
    }
    return config.model_copy(update=moved)


def _reload(
    name: Literal["init", "teacher"],
    settings: PlannedSettings,
    config: RunConfig,
    run: RunDirectory,
) -> Pretrained | None:
    """Load the trained model of a setting again, if there is one, and check that it is the same."""
    where, record = getattr(settings, name), config.models[name]
    if where is None:
        return None
    use = {"init": "began with", "teacher": "learns from"}[name]
    try:
        trained = Pretrained.load(where)
    except EanetError as error:
        raise EanetError(
            f"{error}; {run.path} {use} it: put it back, or start a new run"
        ) from error
    if record is None or trained.digest != record.sha256:
        raise EanetError(
            f"{where} is no longer the model that {run.path} {use}: put that back, or start a new "
            "run"
        )
    return trained
