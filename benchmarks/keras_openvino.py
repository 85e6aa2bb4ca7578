"""Prediction of the Keras example's networks in OpenVINO, converted from Keras on PyTorch.

`compare.py` calls it. The figures go to standard output as one line of JSON.

    python -m benchmarks.keras_openvino --network eanet --precision f32
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from typing import Any

from benchmarks.keras_step import ATTENTION, BATCH, durations, spread

INPUT = (32, 32, 3)


def convert(network: str) -> Any:
    """Return the example's network, from float32 pixels to probabilities, as OpenVINO's model."""
    import keras
    import torch

    from benchmarks.keras_network import build_example
    from eanet.deploy.graphs import convert as convert_module

    keras.utils.set_random_seed(0)
    model = build_example(ATTENTION[network], augment=False)  # which cannot be converted
    return convert_module(model.eval(), torch.zeros(2, *INPUT))


def measure(network: str, precision: str, seconds: float) -> dict[str, Any]:
    """Measure batches and one image, each in a graph that is compiled for its size."""
    import numpy as np

    from eanet.deploy.openvino_library import load_openvino

    images = np.random.default_rng(0).integers(256, size=(BATCH, *INPUT)).astype(np.float32)
    core = load_openvino().Core()
    model, taken = convert(network), {}
    for count in (BATCH, 1):
        model.reshape([count, *INPUT])
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
        pixels = images[:count]
        taken[count] = durations(lambda run=compiled, x=pixels: run([x]), seconds)  # type: ignore[misc]
    return {
        "prediction": spread([BATCH / s for s in taken[BATCH]]),
        "latency_ms": spread([1000 * s for s in taken[1]]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=ATTENTION, default="eanet")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "torch"  # which OpenVINO converts
    found = measure(arguments.network, arguments.precision, arguments.seconds)
    versions = {"python": platform.python_version(), "openvino": version("openvino")}
    print(json.dumps(found | {"versions": versions}))


if __name__ == "__main__":
    main()
