"""What a machine with a busy core is measured for, and what is said of it; nothing is timed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from benchmarks import busy
from benchmarks.compare import Contender
from tests.support.benchmark_records import spread


def test_each_setting_is_measured_in_each_round_alone_and_beside_a_busy_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[int | None, int]] = []
    programs: list[subprocess.Popen[bytes]] = []

    class Started(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            super().__init__(command, **options)
            programs.append(self)

    def running() -> int:
        return sum(program.poll() is None for program in programs)

    def measure(model: str, threads: int | None, seconds: float) -> dict[str, Any]:
        assert (model, seconds) == ("vit", 0.1)
        calls.append((threads, running()))
        rate = float(len(calls))
        figures = {"training": rate, "prediction": 2 * rate}
        return {
            **{f"{name}_images_per_second": spread(value) for name, value in figures.items()},
            "latency_ms": spread(1 / rate),
            "threads": 4 - running() if threads is None else threads,
        }

    def call(*command: str) -> dict[str, Any]:
        assert command[-2:] == ("--network=vit", "--seconds=0.1")
        return {"prediction": spread(5), "latency_ms": spread(0.5)}

    rival = Contender("OpenVINO", "fp32", (sys.executable,))
    monkeypatch.setattr(busy, "rivals", lambda _: [rival])
    monkeypatch.setattr(busy, "call", call)
    monkeypatch.setattr(busy, "NETWORKS", {"vit": "vit"})
    monkeypatch.setattr(busy, "measure", measure)
    monkeypatch.setattr(subprocess, "Popen", Started)
    monkeypatch.setattr(busy, "available_cpus", lambda: 4)
    monkeypatch.setattr(sys, "argv", ["busy", "vit", "--rounds=3", "--seconds=0.1", "--programs=2"])
    busy.main()
    assert calls == 3 * [(None, 0), (1, 0), (4, 0), (None, 2), (1, 2), (4, 2)]
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("|  | busy programs | threads | training, images/s |")
    assert rows == [  # medians of three rounds, each with six settings
        "| `vit`, threads auto | 0 | 4 | 7 | 14 | 0.143 |",
        "| `vit`, threads 1 | 0 | 1 | 8 | 16 | 0.125 |",
        "| `vit`, threads 4 | 0 | 4 | 9 | 18 | 0.111 |",
        "| Keras' `vit`, OpenVINO, fp32 | 0 |  |  | 5 | 0.5 |",
        "| `vit`, threads auto | 2 | 2 | 10 | 20 | 0.1 |",
        "| `vit`, threads 1 | 2 | 1 | 11 | 22 | 0.0909 |",
        "| `vit`, threads 4 | 2 | 4 | 12 | 24 | 0.0833 |",
        "| Keras' `vit`, OpenVINO, fp32 | 2 |  |  | 5 | 0.5 |",
    ]
    assert programs
    assert running() == 0
