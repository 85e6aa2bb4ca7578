"""Cost of a model: parameters, operations, time and memory, measured on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from eanet.benchmarking.figures import (
    ModelFigures,
    RuntimeFigures,
    Spread,
    model_rows,
    runtime_rows,
    write_figures,
)
from eanet.benchmarking.measuring import (
    benchmark_metadata,
    durations,
    summarize_metadata,
)
from eanet.benchmarking.plots import plot_benchmark
from eanet.benchmarking.runtimes import Library, installed_runtimes, measure_runtime
from eanet.benchmarking.settings import BenchmarkSettings, resolve_benchmark
from eanet.config import MachineSettings, ResolvedSettings, load_recipe
from eanet.console import notice, short
from eanet.data.batches import take
from eanet.data.imageset import ImageSet
from eanet.deploy.runtime import Precision
from eanet.device import synchronizer
from eanet.errors import EanetError
from eanet.files import check_writable, write_json
from eanet.memory import peak_memory
from eanet.models import Classifier, create_model, models
from eanet.models.operations import multiply_adds
from eanet.models.registry import parse_model_name
from eanet.options import BenchmarkOptions
from eanet.pages.notebook import show
from eanet.parsing import parse_names
from eanet.process import in_own_process
from eanet.training.engine import configure_process, create_fabric
from eanet.training.optimizer import set_step
from eanet.training.updates import Updates

MEASURED_RECIPE = "keras_example"  # its augmentation, dropout and optimiser
RUN_SETTINGS = {"image_size", "batch_size", *MachineSettings.model_fields}  # of `TrainSettings`


@dataclass(frozen=True, repr=False)
class Benchmark:
    """Figures of several models, also in other libraries, and the files they were written to."""

    models: tuple[ModelFigures, ...]
    runtimes: tuple[RuntimeFigures, ...]
    files: tuple[Path, ...]

    def __repr__(self) -> str:
        speeds = (
            f"{m.model} trains {short(m.training_images_per_second.median)} images/s"
            for m in self.models
        )
        return f"Benchmark({', '.join(speeds)})"

    def _repr_html_(self) -> str:
        note = "medians, with the 5th and 95th percentile"
        tables = {"Models": model_rows(self.models)}
        if self.runtimes:
            tables["Libraries"] = runtime_rows(self.runtimes)
        return show("Benchmark", tables=tables, notes=[note])


def benchmark(*names: str | Iterable[str], **settings: Unpack[BenchmarkOptions]) -> Benchmark:
    """Measure models, one at a time, each in its own process.

    Each process imports the program's main module again, so scripts must call this under
    ``if __name__ == "__main__":``.

    Args:
        *names: names of the models, also as one list; all known models by default.
        **settings: any field of `BenchmarkSettings` except ``dim``.

    Raises:
        EanetError: an unknown model, an invalid setting, or too little memory.

    Examples:
        >>> small = {"image_size": 8, "batch_size": 4, "seconds": 0.05, "compile": "off"}
        >>> measured = eanet.benchmark(["keras_mlp"], **small)
        >>> measured.models[0].parameters
        75940
    """
    chosen = parse_names(names, "a model") or [entry.name for entry in models()]
    asked = BenchmarkSettings.parse(settings)
    if asked.output is not None:
        check_writable(asked.output)
    for name in chosen:
        create_model(name, image_size=asked.image_size)
    resolved = resolve_benchmark(asked, single_layers=False)
    libraries = list(installed_runtimes()) if resolved.runtimes and resolved.device == "cpu" else []
    figures, others = [], []
    for name in chosen:
        compiling = ", compiled first, which takes minutes" if resolved.compile == "on" else ""
        notice(f"measuring {name} on {resolved.device} in {resolved.precision}{compiling}")
        try:
            figures.append(in_own_process(measure_model, name, resolved))
            if libraries:
                notice(f"measuring {name} in {', '.join(map(' in '.join, libraries))}")
                others += in_own_process(measure_runtimes, name, libraries, resolved)
        except BrokenProcessPool as error:
            raise EanetError(
                f"the process measuring {name} was killed; try a smaller --batch-size"
            ) from error
    files = () if resolved.output is None else _write(figures, others, resolved, resolved.output)
    return Benchmark(tuple(figures), tuple(others), files)


def _write(
    figures: Sequence[ModelFigures],
    others: Sequence[RuntimeFigures],
    settings: BenchmarkSettings,
    output: Path,
) -> tuple[Path, ...]:
    metadata = benchmark_metadata(settings, torch.device(settings.device))
    rows = {"models": list(map(asdict, figures)), "runtimes": list(map(asdict, others))}
    return (
        write_figures(output / "benchmark.csv", figures),
        *([write_figures(output / "runtimes.csv", others)] if others else []),
        write_json(output / "benchmark.json", {**metadata, **rows}),
        plot_benchmark(figures, output / "benchmark.png", note=summarize_metadata(metadata)),
    )


class Workload(NamedTuple):
    """A model, the settings it is measured with, and one batch of random images."""

    model: Classifier
    settings: ResolvedSettings
    fabric: Fabric
    images: ImageSet


def prepare(name: str, settings: BenchmarkSettings) -> Workload:
    """Create a named model and what `training_step` and `prediction` need besides it."""
    run = ResolvedSettings.parse(
        {
            **load_recipe(MEASURED_RECIPE).model_dump(exclude_unset=True),
            **settings.model_dump(include=RUN_SETTINGS),
            "model": name,
            "recipe": MEASURED_RECIPE,
            "name": name,
        }
    )
    configure_process(run.threads)
    fabric = create_fabric(run)
    torch.manual_seed(0)
    _, own = parse_model_name(name)
    model = create_model(name, image_size=run.image_size, **({"dropout": run.dropout} | own))
    random = np.random.default_rng(0)
    shape = (run.batch_size, run.image_size, run.image_size, 3)
    pixels = random.integers(256, size=shape, dtype=np.uint8)
    labels = random.integers(len(model.classes), size=run.batch_size)
    return Workload(model, run, fabric, ImageSet(pixels, labels, model.classes))


def measure_model(name: str, settings: BenchmarkSettings) -> ModelFigures:
    """Measure one model in this process, whose peak memory is attributed to the model."""
    work = prepare(name, settings)
    operations = multiply_adds(work.model.eval())
    device, batch_size = work.fabric.device, work.settings.batch_size
    wait = synchronizer(device)

    training = durations(training_step(work), settings.seconds, wait)
    memory = peak_memory(device)
    predict = prediction(work)
    pixels, _ = take(work.images, slice(None))
    predicting = durations(lambda: predict(pixels), settings.seconds, wait)
    single = durations(lambda: predict(pixels[:1]), settings.seconds, wait)
    return ModelFigures(
        name,
        work.model.num_parameters,
        operations,
        Spread.of([batch_size / s for s in training]),
        Spread.of([batch_size / s for s in predicting]),
        Spread.of([1000 * s for s in single]),
        memory,
    )


def measure_runtimes(
    name: str, libraries: Sequence[tuple[Library, Precision]], settings: BenchmarkSettings
) -> list[RuntimeFigures]:
    """Measure prediction of one model in other libraries than PyTorch, each with a precision."""
    torch.manual_seed(0)
    model = create_model(name, image_size=settings.image_size)
    options = settings.model_dump(include={"batch_size", "seconds", "threads"})
    figures = []
    for library, precision in libraries:
        try:
            figures.append(measure_runtime(name, model, library, precision, **options))
        except EanetError as error:  # such as a network that it cannot convert
            notice(f"left out: {error}")
    return figures


def training_step(work: Workload) -> Callable[[], object]:
    """Return a function that takes the first step of a training, as `eanet train` does."""
    model, settings, fabric, images = work
    updates = Updates(model.to(fabric.device), settings, images, fabric)

    def step() -> None:
        set_step(updates.optimizer, settings, 0, 0)
        updates(epoch=0, step=0)

    return step


def prediction(work: Workload) -> Callable[[Tensor], Tensor]:
    """Return a function from raw host pixels to logits on the device; no gradients, no dropout."""
    fabric, model = work.fabric, work.model.to(work.fabric.device).eval()
    run = torch.compile(model, dynamic=False) if work.settings.compile == "on" else model

    def call(images: Tensor) -> Tensor:
        with torch.inference_mode(), fabric.autocast():
            logits: Tensor = run(images.to(fabric.device))
        return logits

    return call
