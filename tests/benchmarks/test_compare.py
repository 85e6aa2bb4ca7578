"""Who is measured when, and what an event of the profiler counts as; nothing is timed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import busy, compare, keras_step
from benchmarks.step_profile import REST, by_kind
from eanet.benchmarking.figures import Spread
from eanet.errors import EanetError
from tests.support.benchmark_records import spread


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every measurement answered at once: only TensorFlow compiled cannot train."""
    made: list[str] = []
    rates = {"tensorflow": 60.0, "jax": 10.0, "torch": 20.0}

    def call(*command: str) -> dict[str, Any]:
        options = dict(c[2:].split("=") for c in command if c.startswith("--"))
        module = command[command.index("-m") + 1]
        backend, jit = options.get("backend") or options.get("runtime", "eanet"), options.get("jit")
        backend = f"eanet's {backend}" if module.endswith("eanet_runtime") else backend
        made.append(f"{options['network']} {backend} {jit or options['precision']}")
        rate = rates.get(backend, 300.0) + (jit == "on")
        found = {"prediction": spread(2 * rate), "latency_ms": spread(1 / rate)}
        return (
            found if (backend, jit) == ("tensorflow", "on") else found | {"training": spread(rate)}
        )

    monkeypatch.setattr(compare, "call", call)
    return made


def test_after_the_first_round_eanet_meets_only_the_fastest(calls: list[str]) -> None:
    everyone = compare.contenders(Path("environments"), ("fp32", "bf16"))
    records = compare.rounds("eanet", everyone, 3, 1.0, {})
    runtimes = ("openvino fp32", "openvino bf16", "onnxruntime fp32")
    both = [name for one in runtimes for name in (one, f"eanet's {one}")]
    fastest = ("tensorflow off", "tensorflow on", *both, "eanet fp32", "eanet bf16")
    assert len(calls) == 13 + 2 * 10
    assert calls[13:23] == calls[23:] == [f"eanet {c}" for c in fastest]
    assert [r["round"] for r in records] == 13 * [1] + 10 * [2] + 10 * [3]
    assert compare.better_settings(records) == {
        ("TensorFlow", "jit_compile=False"),
        ("JAX", "jit_compile=True"),
        ("PyTorch", "jit_compile=False"),
    }


def test_a_processor_without_bfloat16_is_not_asked_for_it() -> None:
    everyone = compare.contenders(Path("environments"), ("fp32",))
    assert len(everyone) == 13 - 3
    assert not any("bf16" in part for one in everyone for part in (one.setting, *one.command))


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("has_bf16", [True, False])
def test_the_second_network_is_measured_with_what_trains(
    has_bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "has_bf16", lambda _: has_bf16)
    everyone = compare.contenders(Path("environments"), compare.own_precisions())
    records = compare.rounds("eanet", everyone, 1, 1.0, {})
    names = [one.key for one in compare.for_the_second_network(everyone, records)]
    assert [setting for name, setting in names if name == "eanet" and "," not in setting] == [
        "bf16" if has_bf16 else "fp32"
    ]
    assert ("TensorFlow", "jit_compile=False") in names
    assert ("TensorFlow", "jit_compile=True") not in names
    assert ("OpenVINO", "fp32") in names


def test_beside_a_busy_program_those_are_measured_whose_environment_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {one.name for one in busy.rivals(tmp_path)} == {"OpenVINO", "ONNX Runtime"}
    assert "TensorFlow is left out" in capsys.readouterr().err


def test_a_keras_that_fails_is_left_out_and_the_others_go_on(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, failures = compare.call, dict[str, str]()

    def call(*command: str) -> dict[str, Any]:
        if broken in command:
            raise EanetError("it broke")
        return answer(*command)

    monkeypatch.setattr(compare, "call", call)
    everyone = compare.contenders(Path("environments"), ("fp32", "bf16"))
    broken = "--backend=torch"
    records = compare.rounds("eanet", everyone, 2, 0.5, failures)
    assert [r["round"] for r in records] == 12 * [1] + 10 * [2]
    assert failures == {"PyTorch, jit_compile=False (eanet)": "it broke"}
    broken = "--precision=fp32"
    with pytest.raises(EanetError, match="it broke"):
        compare.rounds("eanet", everyone, 2, 0.5, failures)


def test_what_a_failing_script_said_last_is_passed_on() -> None:
    with pytest.raises(EanetError, match=r"failed \(1\): ValueError: no such thing"):
        compare.call(sys.executable, "-c", "raise ValueError('no such thing')")
    assert compare.call(sys.executable, "-c", "print('noise'); print('{\"a\": 1}')") == {"a": 1}


def test_keras_figures_are_spread_as_ours() -> None:
    values = [3.0, 1.0, 2.0, 10.0]
    own = Spread.of(values)
    assert keras_step.spread(values) == vars(own)


def test_of_several_calls_the_fastest_counts() -> None:
    name, taken = keras_step.fastest({"slow": lambda: sum(range(10**5)), "fast": int}, 0.0)
    assert name == "fast"
    assert len(taken) == keras_step.LEAST


def test_a_profile_adds_up_to_the_whole_step() -> None:
    events = [
        ("aten::mm", 2.0),
        ("graph_0_cpp_fused_add_native_layer_norm_3", 1.0),
        ("graph_0_cpp_fused_flip_resample_4", 0.5),
        ("eanet::normalize_and_drop", 0.5),
        ("eanet::normalize_and_drop_backward", 1.5),
        ("eanet::random_bytes", 1.0),
        ("Optimizer.step#AdamW.step", 0.5),
        ("aten::empty", 1.0),
    ]
    assert by_kind(events, 10.0) == pytest.approx(
        {
            "matrix products": 0.2,
            "layer norm, GELU, dropout, sums: fused loops": 0.1,
            "augmentation": 0.05,
            "`eanet::normalize_and_drop`": 0.2,
            "`eanet::random_bytes`": 0.1,
            "optimiser": 0.05,
            REST: 0.3,
        }
    )
