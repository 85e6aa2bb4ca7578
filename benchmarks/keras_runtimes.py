"""Prediction of the Keras example's networks in OpenVINO and ONNX Runtime, from Keras on PyTorch.

`compare.py` calls it. The figures go to standard output as one line of JSON.

    python -m benchmarks.keras_runtimes --runtime openvino --network eanet --precision bf16
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from benchmarks.keras_step import ATTENTION, BATCH, durations, spread

INPUT = (32, 32, 3)
Compute = Callable[[Any], Any]


def in_openvino(model: Any, precision: str) -> Callable[[int], Compute]:
    """Return what compiles a network for a size of batch."""
    import torch

    from eanet.deploy.conversion import convert
    from eanet.deploy.openvino_library import load_openvino

    core, graph = load_openvino().Core(), convert(model, torch.zeros(2, *INPUT))
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]

    def compile_for(count: int) -> Compute:
        graph.reshape([count, *INPUT])
        compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": hint})
        return lambda pixels: compiled([pixels])

    return compile_for


def in_onnxruntime(model: Any, precision: str) -> Callable[[int], Compute]:
    """Return what opens a network for a size of batch; ONNX Runtime has float32 alone on CPUs."""
    import onnxruntime
    import torch

    def open_for(count: int) -> Compute:
        file = io.BytesIO()
        torch.onnx.export(
            model, (torch.zeros(count, *INPUT),), file, dynamo=False, input_names=["pixels"]
        )
        session = onnxruntime.InferenceSession(file.getvalue())
        return lambda pixels: session.run(None, {"pixels": pixels})

    return open_for


RUNTIMES = {"openvino": in_openvino, "onnxruntime": in_onnxruntime}


def measure(runtime: str, network: str, precision: str, seconds: float) -> dict[str, Any]:
    """Measure batches and one image, each in a graph that is made for its size."""
    import keras
    import numpy as np

    from benchmarks.keras_network import build_example

    keras.utils.set_random_seed(0)
    model = build_example(ATTENTION[network], augment=False).eval()  # which cannot be converted
    make = RUNTIMES[runtime](model, precision)
    images = np.random.default_rng(0).integers(256, size=(BATCH, *INPUT)).astype(np.float32)
    taken = {}
    for count in (BATCH, 1):
        compute, pixels = make(count), images[:count]
        taken[count] = durations(lambda: compute(pixels), seconds)  # noqa: B023 (called here)
    return {
        "prediction": spread([BATCH / s for s in taken[BATCH]]),
        "latency_ms": spread([1000 * s for s in taken[1]]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runtime", choices=RUNTIMES, required=True)
    parser.add_argument("--network", choices=ATTENTION, default="eanet")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "torch"  # whose networks both can be given
    found = measure(arguments.runtime, arguments.network, arguments.precision, arguments.seconds)
    versions = {p: version(p) for p in ("keras", arguments.runtime)}
    print(json.dumps(found | {"versions": {"python": platform.python_version()} | versions}))


if __name__ == "__main__":
    main()
