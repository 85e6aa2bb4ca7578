"""Cost of a model: parameters, operations, time and memory, measured on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eanet.benchmarking.measuring import (
    Spread,
    describe,
    durations,
    one_line,
    peak_memory,
    synchronizer,
    write_figures,
)
from eanet.benchmarking.plots import plot_benchmark
from eanet.benchmarking.settings import BenchmarkSettings
from eanet.config import MachineSettings, TrainSettings
from eanet.console import notice
from eanet.device import resolve_device
from eanet.errors import EanetError
from eanet.files import check_writable, write_json
from eanet.models import Classifier, create_model, models
from eanet.models.operations import multiply_adds
from eanet.models.registry import parse_model_name
from eanet.process import in_own_process
from eanet.training.engine import create_fabric, decide_compile, resolve_precision
from eanet.training.optimizer import create_optimizer, set_step
from eanet.training.step import TrainingStep

RECIPE = "keras_example"  # whose augmentation, dropout and optimiser are measured
SHARED = {"batch_size", *MachineSettings.model_fields}  # fields that `TrainSettings` has


@dataclass(frozen=True)
class ModelFigures:
    """Cost of one model.

    Attributes:
        model: name of the model.
        parameters: number of learned or loaded values.
        multiply_adds: per image, forward pass only; see `multiply_adds`.
        training_images_per_second: complete training steps, including augmentation and optimiser.
        prediction_images_per_second: at the same batch size.
        latency_ms: time to predict one image.
        peak_memory_bytes: of the training process, including the compiler; on CUDA, of the
            tensors on the GPU.
    """

    model: str
    parameters: int
    multiply_adds: int
    training_images_per_second: Spread
    prediction_images_per_second: Spread
    latency_ms: Spread
    peak_memory_bytes: int


@dataclass(frozen=True)
class Benchmark:
    """Figures of several models, and the files they were written to."""

    models: tuple[ModelFigures, ...]
    files: tuple[Path, ...]


def benchmark(*names: str, **settings: Any) -> Benchmark:
    """Measure models, one at a time, each in its own process.

    Each process imports the program's main module again, so scripts must call this under
    ``if __name__ == "__main__":``.

    Args:
        *names: names of the models; all known models by default.
        **settings: any field of `BenchmarkSettings` except ``dim``.

    Raises:
        EanetError: an unknown model, an invalid setting, or too little memory.
    """
    chosen = names or tuple(entry.name for entry in models())
    asked = BenchmarkSettings.parse(settings)
    if asked.output is not None:
        check_writable(asked.output)
    for name in chosen:
        create_model(name, image_size=asked.image_size)
    made = resolve(asked, single_layers=False)
    figures = []
    for name in dict.fromkeys(chosen):
        compiling = ", compiled first, which takes minutes" if made.compile == "on" else ""
        notice(f"measuring {name} on {made.device} in {made.precision}{compiling}")
        try:
            figures.append(in_own_process(measure_model, name, made))
        except BrokenProcessPool as error:
            raise EanetError(
                f"the process measuring {name} was killed; try a smaller --batch-size"
            ) from error
    files = () if made.output is None else _write(figures, made, made.output)
    return Benchmark(tuple(figures), files)


def resolve(settings: BenchmarkSettings, *, single_layers: bool) -> BenchmarkSettings:
    """Return the settings with every automatic choice made.

    Raises:
        EanetError: the requested device or compiler is not available.
    """
    device = resolve_device(settings.device)
    ahead = 0.0 if single_layers else float("inf")  # operations: models are always worth compiling
    compiled, _ = decide_compile(TrainSettings(compile=settings.compile), device, ahead)
    return settings.model_copy(
        update={
            "device": device,
            "precision": resolve_precision(settings.precision, device),
            "compile": "on" if compiled else "off",
        }
    )


def _write(
    figures: Sequence[ModelFigures], settings: BenchmarkSettings, output: Path
) -> tuple[Path, ...]:
    about = describe(settings, torch.device(settings.device))
    rows = [asdict(row) for row in figures]
    return (
        write_figures(output / "benchmark.csv", figures),
        write_json(output / "benchmark.json", {**about, "models": rows}),
        plot_benchmark(figures, output / "benchmark.png", note=one_line(about)),
    )


class Workload(NamedTuple):
    """A model, the recipe it is measured with, and one batch of random images."""

    model: Classifier
    recipe: TrainSettings
    fabric: Fabric
    images: Tensor
    labels: Tensor


def prepare(name: str, settings: BenchmarkSettings) -> Workload:
    """Return the arguments of `training_step` for a named model."""
    recipe = TrainSettings.resolve(model=name, recipe=RECIPE, **settings.model_dump(include=SHARED))
    fabric = create_fabric(recipe)
    torch.manual_seed(0)
    _, own = parse_model_name(name)
    rates = {"dropout": recipe.dropout} | own
    model = create_model(name, image_size=settings.image_size, **rates)
    shape = (settings.batch_size, 3, settings.image_size, settings.image_size)
    images = torch.randint(256, shape, dtype=torch.uint8)
    labels = torch.randint(len(model.classes), (settings.batch_size,))
    return Workload(model, recipe, fabric, images, labels)


def measure_model(name: str, settings: BenchmarkSettings) -> ModelFigures:
    """Measure one model in this process, whose peak memory is attributed to the model."""
    work = prepare(name, settings)
    model, recipe, fabric, images, _ = work
    batch = settings.batch_size
    counted = multiply_adds(model.eval())
    wait = synchronizer(fabric.device)

    training = durations(training_step(*work), settings.seconds, wait)
    memory = peak_memory(fabric.device)
    predict = prediction(model, recipe, fabric)
    predicting = durations(lambda: predict(images), settings.seconds, wait)
    single = durations(lambda: predict(images[:1]), settings.seconds, wait)
    return ModelFigures(
        name,
        model.num_parameters,
        counted,
        Spread.of([batch / s for s in training]),
        Spread.of([batch / s for s in predicting]),
        Spread.of([1000 * s for s in single]),
        memory,
    )


def training_step(
    model: Classifier, recipe: TrainSettings, fabric: Fabric, images: Tensor, labels: Tensor
) -> Callable[[], None]:
    """Return a function that runs a step of `eanet train`: augmentation, both passes, optimiser."""
    optimizer = create_optimizer(model.to(fabric.device), recipe)
    made = TrainingStep(model, recipe)
    augmentation, step = made.augmentation, cast(nn.Module, made)
    if recipe.compile == "on":
        step = cast(nn.Module, torch.compile(step, dynamic=False))
    wrapped, wrapped_optimizer = fabric.setup(step, optimizer)
    wrapped.train()
    generator = torch.Generator().manual_seed(0)

    def call() -> None:
        draws = augmentation.draw(len(images), generator)
        set_step(optimizer, recipe, 0, 0)
        loss, _ = wrapped(*(t.to(fabric.device) for t in (images, labels, draws)))
        fabric.backward(loss)
        wrapped_optimizer.step()
        wrapped_optimizer.zero_grad()

    return call


def prediction(
    model: Classifier, recipe: TrainSettings, fabric: Fabric
) -> Callable[[Tensor], Tensor]:
    """Return a function from raw host pixels to logits on the device; no gradients, no dropout."""
    run = model.eval()
    compiled = torch.compile(run, dynamic=False) if recipe.compile == "on" else run

    def call(images: Tensor) -> Tensor:
        with torch.inference_mode(), fabric.autocast():
            logits: Tensor = compiled(images.to(fabric.device))
        return logits

    return call
