"""The parts of a run: its source, trained models, data set, fresh model and run directory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from eanet.config import PlannedSettings, ResolvedSettings, TrainSettings
from eanet.data.batches import derive_seed, in_order
from eanet.data.evenly import evenly
from eanet.data.record import ImageRecord
from eanet.data.source import Source, open_source
from eanet.data.splits import Dataset
from eanet.device import Machine
from eanet.models import Classifier, create_model
from eanet.models.freezing import freeze, refit_statistics
from eanet.models.registry import parse_model_name
from eanet.training.defaults import recommend
from eanet.training.messages import show_dataset
from eanet.training.plan import Plan, plan
from eanet.training.pretrained import REGULARIZATION, Pretrained, load_weights
from eanet.training.run_config import DataRecord, Environment, ModelRecord, RunConfig
from eanet.training.run_directory import RunDirectory
from eanet.training.teacher import Teacher
from eanet.training.tensorboard import check_tensorboard
from eanet.training.updates import INITIAL_WEIGHTS

STATISTICS_IMAGES, STATISTICS_BATCH = 2000, 128  # at most, to measure batch normalisation's anew


@dataclass(frozen=True)
class Inputs:
    """What a run is made from.

    Attributes:
        settings: as given, with paths that are valid from any folder.
        source: the images.
        init: the trained model to begin with, if one was given.
        teacher: the trained model to learn from, if one was given.
    """

    settings: TrainSettings
    source: Source
    init: Pretrained | None
    teacher: Pretrained | None


def open_inputs(settings: TrainSettings) -> Inputs:
    """Open everything that a run reads, apart from the images themselves.

    Raises:
        EanetError: a name or path is wrong, or TensorBoard is missing.
    """
    settings.check_fold()
    if settings.model is not None:
        parse_model_name(settings.model)
    if settings.tensorboard:
        check_tensorboard()
    init, teacher = (
        None if where is None else Pretrained.load(where)
        for where in (settings.init, settings.teacher)
    )
    source = open_source(settings.data)
    located: dict[str, str | Path] = {"data": source.location}
    for name in ("data_dir", "names"):
        if (path := getattr(settings, name)) is not None:
            located[name] = path.resolve()
    if init is not None:
        located["init"] = init.where
    if teacher is not None:
        located["teacher"] = teacher.where
    # What was not given stays unset.
    return Inputs(settings.model_copy(update=located), source, init, teacher)


def plan_run(inputs: Inputs, machine: Machine) -> tuple[Plan, Pretrained | None]:
    """Plan a run; return the trained model to begin with as well, which the plan may have named.

    Raises:
        EanetError: the images cannot be found, or model and trained model do not fit.
    """
    settings, source, init = inputs.settings, inputs.source, inputs.init
    defaults = recommend(settings, source.defaults or source.statistics(settings), machine.device)
    for default in defaults:
        if default.setting == "init" and default.value is not None:
            init = Pretrained.load(str(default.value))
    return plan(settings, source, defaults, init), init


def load_data(
    source: Source,
    settings: PlannedSettings,
    fabric: Fabric,
    decided: Collection[str] = (),
    *,
    classes: Sequence[str] = (),
    start: ImageRecord | None = None,
    teacher: Pretrained | None = None,
) -> Dataset:
    """Load the data set of a run and print what `show_dataset` says of it.

    Args:
        source: the images.
        settings: of the run.
        fabric: its processes.
        decided: as for `show_dataset`.
        classes: as for `Source.load`.
        start: as for `Source.load`.
        teacher: a trained model to learn from, which may have seen the test images.
    """
    with fabric.rank_zero_first(local=True):  # the others reuse what the first has downloaded
        dataset = source.load(settings, classes=classes, start=start)
    if teacher is not None:
        dataset = Teacher.seen(teacher, dataset)
    show_dataset(dataset, decided)
    return dataset


def initial_model(
    settings: PlannedSettings, dataset: Dataset, init: Pretrained | None
) -> Classifier:
    """Create the model with its initial weights and normalisation, from the images or ``init``."""
    _, own = parse_model_name(settings.model)  # take precedence over the recipe's
    torch.manual_seed(derive_seed(settings.seed, INITIAL_WEIGHTS))
    model = create_model(
        settings.model,
        classes=dataset.train.classes,
        image_size=dataset.train.image_size,
        normalization=dataset.train.mean_std(),
        preprocessing=dataset.preprocessing,
        **{name: getattr(settings, name) for name in REGULARIZATION if name not in own},
    )
    model.views = settings.views
    if init is not None:
        load_weights(model, init)
        if settings.freeze != "off":
            rows = evenly(range(len(dataset.train)), STATISTICS_IMAGES)
            count = -(-len(rows) // STATISTICS_BATCH)
            # Each from all over the images, often stored by class: those of one class vary less.
            mixed = [row for batch in range(count) for row in rows[batch::count]]
            some = dataset.train.subset(mixed)
            refit_statistics(model, in_order(some, -(-len(some) // count)))  # of about one size
    freeze(model, settings.freeze)
    return model


def create_run(
    inputs: Inputs,
    resolved: ResolvedSettings,
    dataset: Dataset,
    init: Pretrained | None,
    start: ImageRecord | None,
    fabric: Fabric,
) -> RunDirectory:
    """Create the directory of a run with its configuration, in the first process for all."""
    run = RunDirectory(Path())
    if fabric.is_global_zero:
        run = RunDirectory.create(resolved.output, resolved.name)
        run.write_images(dataset, start)
        run.write_config(
            RunConfig(
                settings=inputs.settings,
                resolved=resolved,
                data=DataRecord.of(dataset),
                environment=Environment.here(resolved.device),
                init=_record(init),
                teacher=_record(inputs.teacher),
            )
        )
    return fabric.broadcast(run)


def _record(trained: Pretrained | None) -> ModelRecord | None:
    return None if trained is None else ModelRecord(sha256=trained.digest)
