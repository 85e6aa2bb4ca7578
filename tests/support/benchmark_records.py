"""Records of a comparison that nobody measured, with figures that are easy to reckon with."""

from __future__ import annotations

from typing import Any

from benchmarks.comparison import BF16

FLOW, FLOW_JIT, AX = ("TensorFlow", "off"), ("TensorFlow", "on"), ("JAX", "off")


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": 0.9 * median, "high": 1.1 * median, "n": 5}


def record(who: tuple[str, str], turn: int = 1, network: str = "eanet", **own: float) -> Any:
    """A record whose plain figures are medians."""
    single = {"peak_memory_bytes", "multiply_adds", "matrix_products_flops"}
    figures = {k: v if k in single else spread(v) for k, v in own.items()}
    return {"network": network, "name": who[0], "setting": who[1], "round": turn, **figures}


def complete() -> list[Any]:
    """One round of everyone."""
    ours = {
        "training": 320,
        "prediction": 1000,
        "latency_ms": 4,
        "peak_memory_bytes": 2**30,
        "preparation_ms": 40,
        "multiply_adds": 10**8,
        "matrix_products_flops": 4.8e11,
    }
    keras = {"training": 40, "prediction": 500, "latency_ms": 9, "peak_memory_bytes": 2**31}
    untrained = {"prediction": 400, "latency_ms": 7}
    return [
        record(FLOW, **keras),
        record(FLOW_JIT, **untrained),
        record(AX, **keras | {"training": 20}),
        record(BF16, **ours),
        record(("eanet", "fp32"), **ours | {"training": 120}),
        record(FLOW, network="vit", **keras),
        record(BF16, network="vit", **ours | {"training": 100}),
    ]
