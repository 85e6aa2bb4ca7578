"""The networks of the Keras example on Keras' PyTorch backend, for tests to compare with."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is first imported
keras = pytest.importorskip("keras", reason="needs keras (in the extra `dev`)")
layers = keras.layers

from benchmarks.keras_network import build_example  # noqa: E402 - benchmarks/, needs keras

__all__ = ["build_example", "keras", "layers", "randomize"]


def randomize(model: Any, seed: int = 0) -> None:
    """Biases, norms and pixel statistics as if trained; Keras starts them all at 0 or 1."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.name in ("bias", "beta", "gamma"):
            variable.assign(variable + rng.normal(0, 0.1, variable.shape).astype("float32"))
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Normalization):
            layer.adapt_mean.assign([129.3, 124.1, 112.4])
            layer.adapt_variance.assign([4650.0, 4280.0, 4960.0])
            layer.finalize_state()
