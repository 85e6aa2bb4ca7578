"""What a training says when other programs compete for its CPUs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eanet.training import contention
from eanet.training.contention import WINDOW_SECONDS, ContentionMonitor


class Machine:
    """Two CPUs, with a load and a rate that are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.load = 100.0, 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(contention, "available_cpus", lambda: 2)
        monkeypatch.setattr(contention, "shared_cpus", lambda: 2)
        monkeypatch.setattr(contention, "OtherLoad", lambda: self)

    def measure(self) -> float:
        return self.load

    def train(self, monitor: ContentionMonitor, windows: int, seconds: float) -> None:
        """Take steps of 128 images, each ``seconds`` long."""
        monitor.start_epoch()
        end = self.now + windows * WINDOW_SECONDS
        while self.now < end:
            self.now += seconds
            monitor.step(128)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def monitor(threads: int, *, automatic: bool = True) -> ContentionMonitor:
    return ContentionMonitor(threads, automatic=automatic, run=Path("runs/my run"))


def test_a_program_that_starts_is_named_with_its_cost_and_what_to_do(machine, capsys):
    one = monitor(2)
    machine.train(one, 3, 0.5)
    machine.load = 1.0
    machine.train(one, 1, 5.0)
    assert not capsys.readouterr().err  # it may be gone in a moment
    machine.train(one, 5, 5.0)
    assert capsys.readouterr().err == (
        "other programs keep 1.0 CPUs busy, which slows this training down (26 images/s "
        "instead of 256); to go on with 1: Ctrl-C, then eanet train --resume 'runs/my run' "
        "--threads 1\n"
    )


def test_cpus_that_become_free_are_named_unless_the_threads_were_asked_for(machine, capsys):
    machine.load = 1.0
    one, asked = monitor(1), monitor(1, automatic=False)
    machine.train(one, 2, 0.5)
    machine.load = 0.1
    machine.train(one, 4, 0.5)
    machine.train(asked, 4, 0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("2 CPUs are free now, and this training uses 1; ")
    assert lines[0].endswith("--threads 2")


def test_a_load_that_comes_and_goes_is_not_mentioned(machine, capsys):
    one = monitor(2)
    for load in (1.0, 0.0, 1.0, 0.0):
        machine.load = load
        machine.train(one, 1, 0.5)
    assert not capsys.readouterr().err


def test_validation_between_epochs_does_not_count_as_slow(machine, capsys):
    one = monitor(2)
    machine.train(one, 2, 0.5)
    machine.load = 1.0
    for _ in range(4):
        machine.now += 1000.0
        machine.train(one, 1, 0.5)
    assert "(256 images/s)" in capsys.readouterr().err
