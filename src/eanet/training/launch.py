"""From settings to a finished run: open, plan, train."""

from __future__ import annotations

import time

from eanet.config import TrainSettings
from eanet.console import notice
from eanet.data.record import ImageRecord, joined
from eanet.device import Machine
from eanet.files import check_writable
from eanet.threads import OtherLoad
from eanet.training.engine import (
    compute_environment,
    create_fabric,
    training_operations,
    use_threads,
)
from eanet.training.feasibility import check_feasible
from eanet.training.lr_search import range_test
from eanet.training.memory import warn_of_memory
from eanet.training.messages import show_defaults, show_search, show_settings
from eanet.training.plan import resolve
from eanet.training.prepare import create_run, initial_model, load_data, open_inputs, plan_run
from eanet.training.range_test import SEARCH
from eanet.training.run_directory import RunDirectory
from eanet.training.teacher import Teacher
from eanet.training.trainer import Trainer
from eanet.training.updates import check_shares


def launch(settings: TrainSettings, beside: ImageRecord | None = None) -> RunDirectory:
    """Run a new training in a new run directory.

    Args:
        settings: as given.
        beside: images that the runs compared with this one have seen before, which it splits alike.

    Raises:
        EanetError: anything the user can fix, raised before the long work where possible.
        KeyboardInterrupt: after Ctrl-C; the state is saved if possible.
    """
    began, load = time.monotonic(), OtherLoad()
    with compute_environment(settings):
        check_writable(settings.output)
        inputs = open_inputs(settings)
        inputs.source.check_outside(settings.output, settings)
        machine, fabric = Machine.here(settings.device), create_fabric(settings)
        with fabric.rank_zero_first(local=True):  # the others reuse what the first has unpacked
            (planned, defaults), init = plan_run(inputs, machine)
        start = joined(None if init is None else init.images, beside)
        dataset = load_data(
            inputs.source,
            planned,
            fabric,
            inputs.settings.given(),
            start=start,
            teacher=inputs.teacher,
        )
        show_defaults(defaults)
        teacher = Teacher.of(inputs.teacher, dataset.train.classes)
        model = initial_model(planned, dataset, init)
        operations = training_operations(model, len(dataset.train) * planned.epochs, teacher)
        threads = use_threads(settings.threads, load, fabric)
        resolved, why_compiled = resolve(planned, dataset, operations, machine, threads)
        check_feasible(resolved, dataset, model, fabric.world_size)
        show_settings(resolved, model, why_compiled)
        warn_of_memory(resolved, model)
        check_shares(resolved.batch_size, fabric)
        search = None
        if planned.learning_rate == "find":
            search = range_test(resolved, dataset.train, fabric, model, teacher)
            resolved = resolved.model_copy(update={"learning_rate": search.suggestion})
            show_search(search)
        run = create_run(inputs, resolved, dataset, init, start, fabric)
        if search is not None and fabric.is_global_zero:
            search.write(run.path / SEARCH)
        other = f", a new run beside {resolved.name}" if run.path.name != resolved.name else ""
        notice(f"writing to {run.path}{other}")
        with run.locked(fabric):
            Trainer(resolved, dataset, run, fabric, model, began, teacher).fit()
    return run
