"""What prediction costs in the libraries that `Predictor` computes with, where installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

import numpy as np

from eanet.benchmarking.figures import RuntimeFigures, Spread
from eanet.benchmarking.measuring import durations
from eanet.deploy.conversion import in_runtime
from eanet.deploy.openvino_runtime import computes_bf16
from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Precision
from eanet.models import Classifier

Library = Literal["openvino", "onnxruntime"]
NEEDED = {"openvino": ("openvino",), "onnxruntime": ("onnxruntime", "onnx", "onnxscript")}


def installed_runtimes() -> Iterator[tuple[Library, Precision]]:
    """Yield the libraries that can be measured here, and the precisions that they have."""
    if all(map(find_spec, NEEDED["openvino"])):
        yield "openvino", "fp32"
        if computes_bf16():
            yield "openvino", "bf16"
    if all(map(find_spec, NEEDED["onnxruntime"])):
        yield "onnxruntime", "fp32"


def measure_runtime(
    name: str,
    model: Classifier,
    runtime: Library,
    precision: Precision,
    *,
    batch_size: int,
    seconds: float,
    threads: int | None = None,
) -> RuntimeFigures:
    """Measure what `Predictor.classify` takes from decoded images on.

    Args:
        name: of the model, with its settings.
        model: the network, on the CPU.
        runtime: the library.
        precision: to compute in.
        batch_size: images in a batch.
        seconds: for each figure.
        threads: cores to compute on; None: all.

    Raises:
        EanetError: the library cannot compute it.
    """
    predictor = Predictor(in_runtime(model.eval(), runtime, precision, threads))
    shape = (batch_size, *[model.config.image_size] * 2, 3)
    images = list(np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8))
    batches = durations(lambda: predictor.classify(images), seconds)
    single = durations(lambda: predictor.classify(images[:1]), seconds)
    return RuntimeFigures(
        name,
        runtime,
        precision,
        Spread.of([batch_size / s for s in batches]),
        Spread.of([1000 * s for s in single]),
    )
