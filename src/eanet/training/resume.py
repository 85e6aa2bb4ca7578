"""Resume an interrupted run."""

from __future__ import annotations

import time
from pathlib import Path

from eanet.config import PlannedSettings
from eanet.data.source import open_source
from eanet.device import Machine
from eanet.errors import EanetError
from eanet.threads import OtherLoad
from eanet.training.engine import (
    compute_environment,
    create_fabric,
    training_operations,
    use_threads,
)
from eanet.training.plan import resolve
from eanet.training.prepare import initial_model, load_data
from eanet.training.pretrained import Pretrained
from eanet.training.run_config import ModelRecord
from eanet.training.run_directory import CHECKPOINT, RunDirectory
from eanet.training.teacher import Teacher
from eanet.training.trainer import Trainer


def resume(path: Path, **machine: str | int | None) -> RunDirectory:
    """Resume a run from its last checkpoint.

    Args:
        path: the run directory.
        **machine: ``device``, ``precision``, ``compile`` or ``threads``, to override the run's own;
            the result is then no longer bit-identical.

    Raises:
        EanetError: there is no such run, another process is training it, or its data or a model
            that it still needs have changed.
    """
    began = time.monotonic()
    run = RunDirectory.open(path)
    config = run.read_config()
    given = {name: value for name, value in machine.items() if value is not None}
    settings = PlannedSettings.parse({**config.resolved.model_dump(), **given})
    with compute_environment(settings):
        here, fabric = Machine.here(settings.device), create_fabric(settings)
        with run.locked(fabric):
            dataset = load_data(open_source(settings.data), settings, fabric)
            run.check_data(dataset)
            has_weights = (run.path / CHECKPOINT).is_file()
            init = None if has_weights else _reload(settings.init, config.init, run)
            trained = _reload(settings.teacher, config.teacher, run)
            teacher = Teacher.of(trained, dataset.train.classes)
            model = initial_model(settings, dataset, init)
            operations = training_operations(model, len(dataset.train) * settings.epochs, teacher)
            threads = use_threads(settings.threads, OtherLoad(), fabric)
            resolved, _ = resolve(settings, dataset, operations, here, threads)
            Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run


def _reload(
    where: str | Path | None, record: ModelRecord | None, run: RunDirectory
) -> Pretrained | None:
    """Load a trained model again, if there is one, and check that it is the same."""
    if where is None:
        return None
    trained = Pretrained.load(where)
    if record is None or trained.digest != record.sha256:
        raise EanetError(
            f"{where} is no longer the model that {run.path} began with; start a new run"
        )
    return trained
