"""Training and prediction of eanet's own networks: what `keras_step.py` measures of Keras.

The same process also measures the rate of matrix products, which limits that of a training step,
and the time that data and augmentation take per step. `compare.py` calls it. The figures go to
standard output as one line of JSON.

    python -m benchmarks.eanet_step --network eanet --precision bf16
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from eanet.benchmarking.figures import Spread
from eanet.benchmarking.measuring import durations
from eanet.benchmarking.models import Workload, measure_model, prepare
from eanet.benchmarking.settings import BenchmarkSettings, resolve_benchmark
from eanet.data.augment import Augmentation
from eanet.data.batches import Batches, take
from eanet.data.imageset import ImageSet
from eanet.device import synchronizer

MODELS = {"eanet": "keras_eanet", "vit": "keras_vit"}
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
SIZES = (1024, 1536, 2048)  # of the square matrices whose product is timed
IMAGES, CLASSES = 40_000, 100  # of the example's training set


def settings(precision: str, seconds: float) -> BenchmarkSettings:
    asked = BenchmarkSettings.parse({"device": "cpu", "precision": precision, "seconds": seconds})
    return resolve_benchmark(asked, single_layers=False)


def matrix_rate(dtype: torch.dtype, seconds: float) -> float:
    """Return the highest rate of products of square matrices, in floating-point operations/s."""
    rates = []
    for size in SIZES:
        a, b = torch.randn(2, size, size).to(dtype)
        wait = synchronizer(a.device)
        taken = durations(partial(torch.mm, a, b), seconds / len(SIZES), wait)
        rates.append(2 * size**3 / Spread.of(taken).median)
    return max(rates)


def preparation(work: Workload) -> Callable[[], None]:
    """Return a function that prepares a step: batch from memory, random draws, augmentation."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(IMAGES, *work.images.images.shape[1:]), dtype=np.uint8)
    classes = tuple(str(c) for c in range(CLASSES))
    images = ImageSet(pixels, rng.integers(CLASSES, size=IMAGES), classes)
    order = Batches(images, len(work.images), seed=0).order(0)  # (steps, B)
    augmentation = Augmentation(work.settings)
    run = cast(nn.Module, augmentation)
    if work.settings.compile == "on":
        run = cast(nn.Module, torch.compile(run, dynamic=False))
    generator = torch.Generator().manual_seed(0)
    step = 0

    @torch.no_grad()
    def call() -> None:
        nonlocal step
        batch, _ = take(images, order[step % len(order)])
        draws = augmentation.draw(len(batch), generator)
        with work.fabric.autocast():
            run(batch, draws)
        step += 1

    return call


def measure(network: str, precision: str, seconds: float) -> dict[str, Any]:
    """Measure every figure; names ending in ``_ms`` are in milliseconds."""
    asked = settings(precision, seconds)
    rate = matrix_rate(DTYPES[precision], seconds)
    figures = measure_model(MODELS[network], asked)
    work = prepare(MODELS[network], asked)
    taken = durations(preparation(work), seconds, synchronizer(work.fabric.device))
    return {
        "training": asdict(figures.training_images_per_second),
        "prediction": asdict(figures.prediction_images_per_second),
        "latency_ms": asdict(figures.latency_ms),
        "peak_memory_bytes": figures.peak_memory_bytes,
        "preparation_ms": asdict(Spread.of([1000 * s for s in taken])),
        "multiply_adds": figures.multiply_adds,
        "matrix_products_flops": rate,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=MODELS, default="eanet")
    parser.add_argument("--precision", choices=DTYPES, default="bf16")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    arguments = parser.parse_args()
    found = measure(arguments.network, arguments.precision, arguments.seconds)
    versions = {"python": platform.python_version(), "torch": version("torch")}
    print(json.dumps(found | {"versions": versions}))


if __name__ == "__main__":
    main()
