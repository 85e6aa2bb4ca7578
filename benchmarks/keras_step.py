"""Training and prediction of the Keras example's networks, timed in Keras with one backend.

Runs in an environment with only Keras, NumPy and the backend; `compare.py` calls it there. The
figures go to standard output as one line of JSON.

    python -m benchmarks.keras_step --backend tensorflow --network eanet --jit off
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

BATCH, CLASSES = 128, 100
STORED = 8  # batches of random images to fit on
WARM_UP, LEAST = 2, 3  # untimed calls, and minimum of timed ones
ATTENTION = {"eanet": "external_attention", "vit": "self_attention"}
PACKAGES = {"tensorflow": "tensorflow-cpu", "jax": "jax", "torch": "torch"}


def build(network: str, jit: bool) -> Any:
    """Build the example's model, compiled with its optimiser, loss and metrics."""
    import keras

    from benchmarks.keras_network import build_example

    keras.utils.set_random_seed(0)
    model = build_example(ATTENTION[network], dropout=0.2)
    if jit:  # Keras declines because of rotation and zoom: try anyway
        for layer in model._flatten_layers():
            layer.supports_jit = True
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-4),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(5, name="top-5-accuracy"),
        ],
        jit_compile=jit,
    )
    return model


def training(model: Any, images: Any, labels: Any, seconds: float) -> list[float]:
    """Return the seconds of every step of `Model.fit`, which the example calls."""
    import keras

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.ends: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            float(logs["loss"])  # waits for asynchronous backends
            self.ends.append(time.perf_counter())
            counted = len(self.ends) - WARM_UP
            if counted >= LEAST and self.ends[-1] - self.ends[WARM_UP - 1] >= seconds:
                self.model.stop_training = True

    clock = Clock()
    model.fit(images, labels, batch_size=BATCH, epochs=10**6, verbose=0, callbacks=[clock])
    ends = clock.ends[WARM_UP - 1 :]
    return [after - before for before, after in pairwise(ends)]


def durations(call: Callable[[], Any], seconds: float) -> list[float]:
    """Return the seconds of each call, repeated for ``seconds`` but at least three times."""
    for _ in range(WARM_UP):
        call()
    found: list[float] = []
    begun = before = time.perf_counter()
    while len(found) < LEAST or before - begun < seconds:
        call()
        now = time.perf_counter()
        found.append(now - before)
        before = now
    return found


def fastest(calls: dict[str, Callable[[], Any]], seconds: float) -> tuple[str, list[float]]:
    """Return name and durations of the call with the lowest median; all share the time."""
    import numpy as np

    timed = {name: durations(call, seconds / len(calls)) for name, call in calls.items()}
    best = min(timed, key=lambda name: float(np.median(timed[name])))
    return best, timed[best]


def spread(values: list[float]) -> dict[str, float]:
    """Return median, 5th and 95th percentile, as `eanet.benchmarking.measuring.Spread` does."""
    import numpy as np

    low, median, high = (float(v) for v in np.percentile(values, (5, 50, 95)))
    return {"median": median, "low": low, "high": high, "n": len(values)}


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text("ascii")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(network: str, jit: bool, seconds: float) -> dict[str, Any]:
    """Measure every figure; those of training are missing if the backend cannot compile it."""
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(STORED * BATCH, 32, 32, 3), dtype=np.uint8)
    labels = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=len(images))]
    model = build(network, jit)
    found: dict[str, Any] = {}
    try:
        steps = training(model, images, labels, seconds)
    except Exception as error:  # whatever a backend's compiler raises
        found["training_error"] = f"{type(error).__name__}: {error}"[:300]
    else:
        found["training"] = spread([BATCH / s for s in steps])
        found["peak_memory_bytes"] = peak_memory()

    many, one = images[:BATCH].astype(np.float32), images[:1].astype(np.float32)
    tensor = keras.ops.convert_to_tensor(one)
    name, taken = fastest(
        {
            "predict_on_batch": lambda: model.predict_on_batch(many),
            "predict": lambda: model.predict(many, batch_size=BATCH, verbose=0),
        },
        seconds,
    )
    found |= {"prediction": spread([BATCH / s for s in taken]), "prediction_call": name}
    name, taken = fastest(
        {
            "predict_on_batch": lambda: model.predict_on_batch(one),
            "predict": lambda: model.predict(one, verbose=0),
            "model(x)": lambda: keras.ops.convert_to_numpy(model(tensor, training=False)),
        },
        seconds,
    )
    return found | {"latency_ms": spread([1000 * s for s in taken]), "latency_call": name}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", choices=PACKAGES, required=True)
    parser.add_argument("--network", choices=ATTENTION, default="eanet")
    parser.add_argument("--jit", choices=("on", "off"), default="off", help="jit_compile")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each figure")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend  # read when keras is imported
    found = measure(arguments.network, arguments.jit == "on", arguments.seconds)
    packages = ("keras", "numpy", PACKAGES[arguments.backend])
    versions = {"python": platform.python_version()} | {p: version(p) for p in packages}
    print(json.dumps(found | {"versions": versions}))


if __name__ == "__main__":
    main()
