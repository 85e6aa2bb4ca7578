"""What a benchmark measures, and its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eanet.console import short
from eanet.files import write_csv


@dataclass(frozen=True)
class Spread:
    """Median, 5th and 95th percentile of a figure that was measured ``n`` times."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Compute the spread of values."""
        low, median, high = (float(v) for v in np.percentile(values, (5, 50, 95)))
        return cls(median, low, high, len(values))

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)} to {short(self.high)})"


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


def model_rows(models: Sequence[ModelFigures]) -> list[dict[str, str]]:
    """Return one row per model: text by column heading."""
    return [
        {
            "model": m.model,
            "parameters": f"{m.parameters:,}",
            "multiply-adds": short(m.multiply_adds),
            "training, images/s": str(m.training_images_per_second),
            "prediction, images/s": str(m.prediction_images_per_second),
            "one image, ms": str(m.latency_ms),
            "peak memory, MiB": short(m.peak_memory_bytes / 2**20),
        }
        for m in models
    ]


@dataclass(frozen=True)
class RuntimeFigures:
    """Cost of predicting with one library, from decoded images to named classes.

    Attributes:
        model: name of the model.
        runtime: name of the library.
        precision: what it computes in.
        prediction_images_per_second: in batches.
        latency_ms: time to predict one image.
    """

    model: str
    runtime: str
    precision: str
    prediction_images_per_second: Spread
    latency_ms: Spread


@dataclass(frozen=True)
class TokenFigures:
    """Cost of an attention layer on one sequence.

    Attributes:
        layer: kind of attention.
        tokens: length of the sequence.
        forward_ms: time of a forward pass without gradients.
        training_ms: time of a forward and a backward pass.
        memory_bytes: peak memory of these two passes beyond what was in use before.
    """

    layer: str
    tokens: int
    forward_ms: Spread
    training_ms: Spread
    memory_bytes: int


def runtime_rows(runtimes: Sequence[RuntimeFigures]) -> list[dict[str, str]]:
    """Return one row per model and library: text by column heading."""
    return [
        {
            "model": r.model,
            "library": r.runtime,
            "precision": r.precision,
            "prediction, images/s": str(r.prediction_images_per_second),
            "one image, ms": str(r.latency_ms),
        }
        for r in runtimes
    ]


def token_rows(points: Sequence[TokenFigures]) -> list[dict[str, str]]:
    """Return one row per layer and number of tokens: text by column heading."""
    return [
        {
            "layer": p.layer,
            "tokens": f"{p.tokens:,}",
            "forward, ms": str(p.forward_ms),
            "both passes, ms": str(p.training_ms),
            "memory, MiB": short(p.memory_bytes / 2**20),
        }
        for p in points
    ]


def write_figures(path: Path, rows: Sequence[Any]) -> Path:
    """Write dataclasses as CSV, one per row; a `Spread` takes one column per number."""
    flat = []
    for row in rows:
        columns: dict[str, Any] = {}
        for name, value in asdict(row).items():
            if isinstance(value, dict):
                columns |= {name if k == "median" else f"{name}_{k}": v for k, v in value.items()}
            else:
                columns[name] = value
        flat.append(columns)
    return write_csv(path, list(flat[0]), (columns.values() for columns in flat))
