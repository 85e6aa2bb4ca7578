"""How many threads to compute with: what may be used, and what others use."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import psutil
import pytest

from eanet import threads
from eanet.threads import FreeThreads, OtherLoad, available_cpus, threads_beside

QUOTAS = {
    "cgroup v2": {"cpu.max": "100000 100000"},
    "cgroup v1": {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"},
}


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own workers are limited to one thread each."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def in_a_fresh_process(code: str, **environment: str) -> str:
    """What a Python program prints."""
    command = [sys.executable, "-c", f"from eanet.threads import *; {code}"]
    done = subprocess.run(
        command, env=os.environ | environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_bound_to_one_cpu_has_one() -> None:
    first = min(os.sched_getaffinity(0))
    bind = f"import os; os.sched_setaffinity(0, [{first}]); "
    assert in_a_fresh_process(f"{bind}print(available_cpus())") == "1"


@pytest.mark.parametrize("version", QUOTAS)
def test_a_container_with_a_share_of_the_cpus_has_that_share(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in QUOTAS[version].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    open_, exists = builtins.open, os.path.exists

    def moved(path: Any) -> Any:
        inside = str(path).startswith("/sys/fs/cgroup")
        return str(tmp_path) + str(path).removeprefix("/sys/fs/cgroup") if inside else path

    with monkeypatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 8)
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
        patch.setattr(builtins, "open", lambda path, *a, **k: open_(moved(path), *a, **k))
        patch.setattr(os.path, "exists", lambda path: exists(moved(path)))
        count = available_cpus()
    assert count == 1


@pytest.mark.parametrize(
    ("value", "expected"), [("2", 2), ("2,1", 2), ("64", 8), ("", 8), ("0", 8), ("many", 8)]
)
def test_omp_num_threads_limits_but_never_raises(
    value: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda **_: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert available_cpus() == expected


@pytest.mark.parametrize(
    ("load", "cpus", "expected"),
    [(0.0, 2, 2), (0.3, 2, 2), (1.0, 2, 1), (2.0, 2, 1), (9.0, 2, 1), (1.0, 8, 7), (0.0, 1, 1)],
)
def test_threads_are_what_others_leave_and_at_least_one(
    load: float, cpus: int, expected: int
) -> None:
    assert threads_beside(load, cpus, cpus) == expected


@pytest.mark.parametrize(("load", "expected"), [(10.0, 4), (28.0, 4), (29.0, 3), (40.0, 1)])
def test_others_take_nothing_from_a_process_of_few_threads_while_cpus_are_idle(
    load: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda **_: 32)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    clock = Clock(monkeypatch)
    other, free = OtherLoad(), FreeThreads()
    clock.everybody, clock.now = load, 1.0
    assert threads.resolve_threads(None, other) == expected
    assert free.count() == expected


class Clock:
    """A machine whose clocks are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.everybody = self.own = 0.0
        self.container: float | None = None
        self.cpus = 1
        monkeypatch.setattr(threads, "_read", self.read)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def read(self, **_: bool) -> threads._Reading:
        return threads._Reading(self.now, self.everybody, self.own, self.container, self.cpus)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_load_of_others_is_what_everybody_used_less_what_this_process_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    load = OtherLoad()
    clock.now, clock.everybody, clock.own = 10.0, 18.0, 8.0
    assert load.measure() == pytest.approx(1.0)
    clock.now, clock.everybody, clock.own = 20.0, 28.0, 18.0
    assert load.measure() == pytest.approx(0.0)
    clock.own = 30.0  # of children that ended, counted late
    clock.now = 30.0
    assert load.measure() == 0.0


@pytest.mark.parametrize(
    ("machine", "container", "expected"),
    [
        (8.0, 2.0, 0),  # this process alone is in the container, and 24 CPUs are idle
        (8.0, 3.5, 1.5),  # of another in it, whatever is idle outside
        (30.0, 2.0, 0),  # of 32 CPUs, all but this process' own two and the two others of its quota
        (31.5, 2.0, 1.5),
        (31.5, 4.0, 2),
        (8.0, None, 6),  # not known: as if all were inside
    ],
)
def test_a_machine_around_a_container_with_a_quota_counts_once_it_is_full(
    machine: float, container: float | None, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda **_: 4)
    clock = Clock(monkeypatch)
    clock.cpus, clock.container = 32, None if container is None else 0.0
    load = OtherLoad()
    clock.now, clock.own, clock.everybody = 10.0, 20.0, 10 * machine
    clock.container = None if container is None else 10 * container
    assert load.measure() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("files", "seconds"),
    [
        ({"cpu.stat": "usage_usec 2500000\nuser_usec 1\n"}, 2.5),
        ({"cpu.stat": "nr_periods 7\n", "cpuacct/cpuacct.usage": "2500000000\n"}, 2.5),
        ({"cpu.stat": ""}, None),
        ({}, None),
    ],
)
def test_the_time_of_a_container_is_read_of_either_version(
    files: dict[str, str], seconds: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    reading = threads._read(children=False)
    assert reading.container == seconds
    assert 1 <= reading.cpus <= (os.cpu_count() or 1)


def test_a_measurement_takes_long_enough_to_mean_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    OtherLoad().measure()
    assert clock.now == threads.SAMPLE_SECONDS


LAUNCH = """
import subprocess, sys
busy = subprocess.Popen(
    [sys.executable, "-c", "while True: pass"],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    start_new_session=True,
)
print(busy.pid)
"""


@contextmanager
def busy_program() -> Iterator[None]:
    """A process of somebody else: no child of this one, as what started it has ended."""
    command = [sys.executable, "-c", LAUNCH]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    try:
        yield
    finally:
        psutil.Process(int(done.stdout)).kill()


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="clocks of all CPUs need Linux")
def test_a_busy_program_is_seen() -> None:
    with busy_program():
        load = OtherLoad()
        time.sleep(0.5)
        assert load.measure() > 0.4  # of one CPU, on a machine where others may want it too


def test_all_kinds_of_work_count_and_waiting_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = [SimpleNamespace(user=1.0, nice=10.0, system=0.5, idle=99.0, iowait=7.0, steal=0.25)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: clocks * (os.cpu_count() or 1))
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: [0], raising=False)
    assert threads._read(children=True).everybody == 11.75


@pytest.mark.parametrize(
    ("bound", "seconds"), [([1], 10.0), ([0, 1], 11.0), ([0, 2], 11.0), ([5], 11.0)]
)
def test_where_clocks_are_fewer_than_cpus_all_count(
    bound: list[int], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = [SimpleNamespace(user=1.0), SimpleNamespace(user=10.0)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: clocks)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: bound, raising=False)
    assert threads._read(children=False).everybody == seconds


def test_a_child_at_work_is_not_somebody_else() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        before = threads._read(children=True)
        deadline = time.monotonic() + 10
        while threads._read(children=True).own - before.own < 0.2 and time.monotonic() < deadline:
            time.sleep(0.1)
        own = threads._read(children=True).own - before.own
        child.kill()
    assert own >= 0.2


def test_threads_that_are_free_are_measured_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda **_: 2)
    clock = Clock(monkeypatch)
    free = FreeThreads()
    clock.everybody, clock.now = 0.5, 0.5
    assert free.count() == 2  # not known yet
    clock.everybody, clock.now = 1.0, 1.0
    assert free.count() == 1
    clock.now = 1.9
    assert free.count() == 1
    clock.now = 2.1
    assert free.count() == 2
    assert clock.now == 2.1  # it did not wait
