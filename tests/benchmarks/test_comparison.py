"""What is concluded from the records of a comparison."""

from __future__ import annotations

import pytest

from benchmarks.comparison import (
    BF16,
    FP32,
    Row,
    by_round,
    fastest_keras,
    losses,
    overall,
    peaks,
    ratio,
    targets,
)
from eanet.errors import EanetError
from tests.support.benchmark_records import AX, FLOW, FLOW_JIT, complete, record

RATES = {"f32": 700, "bf16": 800}


def test_the_fastest_has_most_images_a_second_and_fewest_milliseconds() -> None:
    records = complete()
    assert fastest_keras(records, "eanet", "training") == FLOW
    assert fastest_keras(records, "eanet", "latency_ms") == FLOW_JIT
    with pytest.raises(EanetError, match="no backend of Keras could be measured"):
        fastest_keras(records[3:5], "eanet", "training")


def test_a_ratio_is_the_median_over_rounds_in_which_both_were_measured() -> None:
    slow_machine = [record(FLOW, 1, training=10), record(BF16, 1, training=50)]
    quiet_machine = [record(FLOW, 2, training=100), record(BF16, 2, training=700)]
    alone = [record(BF16, 3, training=9000)]
    records = slow_machine + quiet_machine + alone
    assert by_round(records, "eanet", FLOW, "training") == {1: 10, 2: 100}
    assert overall(records, "eanet", BF16, "training") == 700
    assert ratio(records, "eanet", BF16, FLOW, "training") == pytest.approx((5 + 7) / 2)


def test_the_highest_peak_of_memory_counts() -> None:
    records = [record(AX, turn, peak_memory_bytes=m) for turn, m in ((1, 7), (2, 9), (3, 8))]
    assert peaks([*records, record(FLOW_JIT, prediction=1)], "eanet") == {AX: 9}


@pytest.mark.parametrize(
    ("value", "least", "aim", "verdict"),
    [
        (4.9, 5, 8, "**missed**"),
        (5.0, 5, 8, "reached"),
        (8.0, 5, 8, "aim reached"),
        (5.1, 5, 2, "**missed**"),
        (4.9, 5, 2, "reached"),
        (1.9, 5, 2, "aim reached"),
        (1.9, None, None, ""),
    ],
)
def test_the_verdict_knows_which_way_is_better(
    value: float, least: float | None, aim: float | None, verdict: str
) -> None:
    assert Row("", value, "", "", least, aim).verdict == verdict


def test_every_target_is_reckoned_from_the_records() -> None:
    values = [row.value for row in targets(complete())]
    assert values == pytest.approx(
        [
            320 / 40,
            100 * (6 * 1e8 * 320) / 4.8e11,  # two operations a multiply-add, three passes' worth
            1000 / 500,
            4,
            50,
            100 / 40,
            100 * 40 / (1000 * 128 / 320),
            50 * (40_000 / 320 + 10_000 / 1000) / 60,
            120 / 40,
        ]
    )


def test_where_bfloat16_was_not_measured_float32_is_reckoned() -> None:
    float32 = [r for r in complete() if (r["name"], r["setting"]) == FP32]
    others = [r for r in complete() if r["name"] != "eanet"]
    rows = targets([*others, *float32, *(r | {"network": "vit"} for r in float32)])
    assert [rows[0].value, rows[5].value] == pytest.approx([120 / 40, 120 / 40])
    assert rows[1].figure == "training, share of the rate of fp32 matrix products"
    assert len(rows) == len(targets(complete())) - 1


def test_openvino_is_compared_where_it_was_measured_and_is_no_backend() -> None:
    rivals = [record(("OpenVINO", setting), prediction=rate) for setting, rate in RATES.items()]
    rows = targets([*complete(), *rivals])
    assert len(rows) == len(targets(complete())) + 1
    assert rows[-1].value == pytest.approx(1000 / 800)
    assert rows[-1].verdict == "**missed**"
    assert fastest_keras([*complete(), *rivals], "eanet", "prediction") == FLOW


def test_where_others_are_faster_is_told_for_their_best_setting() -> None:
    rivals = [record(("OpenVINO", setting), prediction=rate) for setting, rate in RATES.items()]
    rivals += [record(("ONNX Runtime", "fp32"), prediction=1500, latency_ms=1)]
    assert losses([*complete(), *rivals[:2]]) == []
    found = losses([*complete(), *rivals, record(("OpenVINO", "bf16"), 2, prediction=9000)])
    assert [(loss.figure, loss.who, loss.times) for loss in found] == [
        ("latency_ms", ("ONNX Runtime", "fp32"), pytest.approx(4)),
        ("prediction", ("ONNX Runtime", "fp32"), pytest.approx(1.5)),
    ]
    own = record(("eanet", "OpenVINO, fp32"), latency_ms=0.5)
    assert [loss.figure for loss in losses([*complete(), *rivals, own])] == ["prediction"]
