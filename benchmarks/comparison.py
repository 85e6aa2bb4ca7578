"""Evaluate a comparison's records: who is faster by how much, and whether that meets the targets.

A record is what one contender measured in one round: its ``network``, ``name``, ``setting`` and
``round``, and figures, most of them with median, 5th and 95th percentile and number of calls.
Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median as middle
from typing import Any

from eanet.errors import EanetError

Record = Mapping[str, Any]
Key = tuple[str, str]  # name and setting of a contender

EANET = "eanet"
BF16, FP32 = (EANET, "bf16"), (EANET, "fp32")
OPENVINO, ONNX_RUNTIME = RIVALS = "OpenVINO", "ONNX Runtime"  # they compute Keras' networks too
TRAINING, PREDICTION, LATENCY = FIGURES = ("training", "prediction", "latency_ms")
BATCH, EPOCHS, TRAINING_IMAGES, VALIDATION_IMAGES = 128, 50, 40_000, 10_000
PASSES = 3  # a backward pass takes twice the matrix products of the forward pass


@dataclass(frozen=True)
class Row:
    """A figure and its targets; ``least`` is an upper limit if ``aim`` is the smaller number."""

    figure: str
    value: float
    unit: str
    how: str = ""
    least: float | None = None
    aim: float | None = None

    @property
    def verdict(self) -> str:
        """Which of the two targets is reached."""
        if self.least is None or self.aim is None:
            return ""
        sign = 1 if self.aim > self.least else -1
        if sign * self.value >= sign * self.aim:
            return "aim reached"
        return "reached" if sign * self.value >= sign * self.least else "**missed**"


def key(record: Record) -> Key:
    return record["name"], record["setting"]


def by_round(records: Sequence[Record], network: str, who: Key, figure: str) -> dict[int, float]:
    """Return a contender's median in each round in which it has the figure."""
    return {
        r["round"]: r[figure]["median"] if isinstance(r[figure], Mapping) else r[figure]
        for r in records
        if r["network"] == network and key(r) == who and figure in r
    }


def overall(records: Sequence[Record], network: str, who: Key, figure: str) -> float:
    """Return the median over the rounds."""
    return middle(by_round(records, network, who, figure).values())


def fastest_keras(records: Sequence[Record], network: str, figure: str) -> Key:
    """Return backend and setting of Keras with the best figure."""
    known = {
        key(r): overall(records, network, key(r), figure)
        for r in records
        if r["network"] == network and r["name"] not in (EANET, *RIVALS) and figure in r
    }
    if not known:
        raise EanetError(f"no backend of Keras could be measured: {network}, {figure}")
    return (min if figure == LATENCY else max)(known, key=lambda who: known[who])


def as_trained(records: Sequence[Record]) -> Key:
    """Return the setting with which `eanet train` trains there: bfloat16 where it was measured."""
    return BF16 if any(key(r) == BF16 for r in records) else FP32


def fastest_of(records: Sequence[Record], network: str, figure: str, name: str) -> Key | None:
    """Return the setting with which a contender has the best figure; None if it has none."""
    known = [key(r) for r in records if r["network"] == network and figure in r]
    settings = {who for who in known if who[0] == name}
    best = min if figure == LATENCY else max
    return best(settings, key=lambda who: overall(records, network, who, figure), default=None)


def against_openvino(records: Sequence[Record], network: str, model: str) -> list[Row]:
    """Return how prediction compares with Keras' network in OpenVINO, if that was measured."""
    ours = fastest_of(records, network, PREDICTION, EANET)
    other = fastest_of(records, network, PREDICTION, OPENVINO)
    if ours is None or other is None:
        return []
    how = (
        f"{overall(records, network, ours, PREDICTION):,.0f} ({ours[1]}) against "
        f"{overall(records, network, other, PREDICTION):,.0f} images/s ({other[1]})"
    )
    marks = {"eanet": (1.3, 2.0), "vit": (1.0, 1.3)}[network]
    figure = f"prediction, `{model}`, against Keras' network in OpenVINO"
    return [Row(figure, ratio(records, network, ours, other, PREDICTION), "x", how, *marks)]


@dataclass(frozen=True)
class Loss:
    """A figure in which another contender is ahead: by how many times, median over the rounds."""

    network: str
    figure: str
    who: Key
    ours: Key
    times: float


def losses(records: Sequence[Record]) -> list[Loss]:
    """Return where eanet's best setting is behind the best setting of another, widest gap first."""
    found = []
    others = dict.fromkeys(r["name"] for r in records if r["name"] != EANET)
    for network in dict.fromkeys(r["network"] for r in records):
        for figure in FIGURES:
            ours = fastest_of(records, network, figure, EANET)
            for name in others:
                who = fastest_of(records, network, figure, name)
                if ours is None or who is None:
                    continue
                share = ratio(records, network, ours, who, figure)
                times = share if figure == LATENCY else 1 / share
                if times > 1:
                    found.append(Loss(network, figure, who, ours, times))
    return sorted(found, key=lambda loss: -loss.times)


def ratio(records: Sequence[Record], network: str, who: Key, other: Key, figure: str) -> float:
    """Return the median over the rounds of one contender's figure divided by the other's."""
    ours, theirs = (by_round(records, network, k, figure) for k in (who, other))
    return middle(ours[n] / theirs[n] for n in ours.keys() & theirs.keys())


def targets(records: Sequence[Record]) -> list[Row]:
    """Return every figure to report, with its targets."""

    def against(figure: str, network: str, what: str, who: Key, *marks: float) -> Row:
        other = fastest_keras(records, network, what)
        how = (
            f"{overall(records, network, who, what):,.0f} against "
            f"{overall(records, network, other, what):,.0f} images/s ({', '.join(other)})"
        )
        return Row(figure, ratio(records, network, who, other, what), "x", how, *marks)

    def ours(figure: str) -> float:
        return overall(records, "eanet", own, figure)

    own = as_trained(records)
    rows = [r for r in records if r["network"] == "eanet" and key(r) == own]
    flops = [2 * PASSES * r["multiply_adds"] * r[TRAINING]["median"] for r in rows]
    rates = [r["matrix_products_flops"] for r in rows]
    share = middle(f / rate for f, rate in zip(flops, rates, strict=True))
    parts = [r["preparation_ms"]["median"] * r[TRAINING]["median"] / 1000 / BATCH for r in rows]
    epoch = TRAINING_IMAGES / ours(TRAINING) + VALIDATION_IMAGES / ours(PREDICTION)
    memory = peaks(records, "eanet")
    frugal = min((k for k in memory if k[0] != EANET), key=lambda k: memory[k])
    return [
        against("training, `keras_eanet`", "eanet", TRAINING, own, 5, 8),
        Row(
            f"training, share of the rate of {own[1]} matrix products",
            100 * share,
            "%",
            f"{middle(flops) / 1e9:,.0f} of {middle(rates) / 1e9:,.0f} GFLOP/s",
            30,
            50,
        ),
        against("prediction, batches of 128", "eanet", PREDICTION, own, 4, 8),
        Row("prediction, one image, median", ours(LATENCY), "ms", "", 5, 2),
        Row(
            "peak memory of the training process, share of the smallest of Keras",
            100 * memory[own] / memory[frugal],
            "%",
            f"{mebibytes(memory[own])} against {mebibytes(memory[frugal])} MiB "
            f"({', '.join(frugal)})",
            100,
            50,
        ),
        against("training, `keras_vit`", "vit", TRAINING, own, 3, 6),
        Row(
            "data and augmentation, share of a training step",
            100 * middle(parts),
            "%",
            f"{ours('preparation_ms'):.1f} of {1000 * BATCH / ours(TRAINING):,.0f} ms",
            10,
            5,
        ),
        Row(
            f"{EPOCHS} epochs with validation",
            EPOCHS * epoch / 60,
            "min",
            "computed from the rates of training and prediction",
            100,
            60,
        ),
        *(
            [against("training, `keras_eanet`, eanet in float32 too", "eanet", TRAINING, FP32)]
            if own == BF16
            else []
        ),
        *against_openvino(records, "eanet", "keras_eanet"),
        *against_openvino(records, "vit", "keras_vit"),
    ]


def peaks(records: Sequence[Record], network: str) -> dict[Key, float]:
    """Return the highest memory peak over the rounds, of contenders that could train."""
    found: dict[Key, float] = {}
    for r in records:
        if r["network"] == network and "peak_memory_bytes" in r:
            found[key(r)] = max(found.get(key(r), 0), r["peak_memory_bytes"])
    return found


def mebibytes(count: float) -> str:
    return f"{count / 2**20:,.0f}"
