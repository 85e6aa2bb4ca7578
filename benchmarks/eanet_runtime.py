"""Prediction of eanet's own networks by `Predictor` with another library than PyTorch.

`compare.py` calls it. The figures go to standard output as one line of JSON.

    python -m benchmarks.eanet_runtime --runtime openvino --network eanet --precision bf16
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from importlib.metadata import version

import torch

from benchmarks.eanet_step import MODELS
from benchmarks.keras_step import BATCH
from eanet.benchmarking.runtimes import measure_runtime
from eanet.models import create_model


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runtime", choices=("openvino", "onnxruntime"), required=True)
    parser.add_argument("--network", choices=MODELS, default="eanet")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    name = MODELS[arguments.network]
    found = measure_runtime(
        name,
        create_model(name),
        arguments.runtime,
        arguments.precision,
        batch_size=BATCH,
        seconds=arguments.seconds,
    )
    figures = {
        "prediction": asdict(found.prediction_images_per_second),
        "latency_ms": asdict(found.latency_ms),
    }
    versions = {p: version(p) for p in ("torch", arguments.runtime)}
    print(json.dumps(figures | {"versions": {"python": platform.python_version()} | versions}))


if __name__ == "__main__":
    main()
