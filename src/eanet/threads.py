"""How many threads to compute with: the CPUs that this process may use, less those in other use.

A parallel region lasts as long as its slowest thread, and a training step has hundreds of them. A
thread that shares its CPU with another program therefore slows down all others: on two CPUs of
which one is busy, two threads are several times slower than one (docs/performance.md).
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import psutil

from eanet.console import notice

SAMPLE_SECONDS = 0.25  # the kernel counts time in hundredths of a second
RENEW_SECONDS = 1.0
CGROUP = Path("/sys/fs/cgroup")  # of the container, as seen from inside


def available_cpus() -> int:
    """Return the number of CPUs that this process may use.

    That is the number of `shared_cpus`, or OMP_NUM_THREADS if that is set and less.
    """
    count = shared_cpus()
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(count, int(limit)) if limit.isdecimal() and int(limit) > 0 else count


def shared_cpus() -> int:
    """Return the number of CPUs on which this process and others find room.

    That is the smallest of the physical cores, the CPUs that it is bound to (``taskset``), and the
    quota of its container (cgroup v1 and v2).
    """
    import joblib  # takes a third of a second

    return int(joblib.cpu_count(only_physical_cores=True))


class _Reading(NamedTuple):
    """CPU seconds used so far, and when that was.

    Attributes:
        at: the time.
        everybody: on the CPUs that this process may run on.
        own: of this process.
        container: of its container, if that is known.
        cpus: the number of cores of the CPUs that it may run on.
    """

    at: float
    everybody: float
    own: float
    container: float | None
    cpus: int


class OtherLoad:
    """CPUs kept busy by other programs, measured between its calls.

    Args:
        children: count processes that this one started as its own, not as others; finding them
            takes milliseconds.
    """

    def __init__(self, *, children: bool = True) -> None:
        self._children = children
        self._last = _read(children=children)

    @property
    def seconds(self) -> float:
        """Time since the last measurement."""
        return time.monotonic() - self._last.at

    def measure(self) -> float:
        """Return how many of `shared_cpus` were in other use since the last call, from 0 up.

        Waits until `SAMPLE_SECONDS` have passed since then. Of a machine of which a container has a
        quota, what is outside of it counts only as far as it leaves fewer CPUs than that.
        """
        time.sleep(max(0.0, SAMPLE_SECONDS - self.seconds))
        before, self._last = self._last, _read(children=self._children)
        now = self._last
        seconds, own = now.at - before.at, max(0.0, now.own - before.own)
        load = (now.everybody - before.everybody - own) / seconds
        if (outside := now.cpus - shared_cpus()) > 0:
            inside = load
            if now.container is not None and before.container is not None:
                inside = (now.container - before.container - own) / seconds
            load = max(inside, load - outside)
        return max(0.0, load)


class FreeThreads:
    """The number of threads that others leave CPUs for, for calls too short to measure it each."""

    def __init__(self) -> None:
        self._cpus = self._count = available_cpus()
        self._shared = shared_cpus()
        self._load = OtherLoad(children=False)
        self._lock = Lock()

    def count(self) -> int:
        """Return the number as of the last second in which it was asked for; never waits."""
        with self._lock:
            if self._cpus > 1 and self._load.seconds >= RENEW_SECONDS:
                self._count = threads_beside(self._load.measure(), self._cpus, self._shared)
            return self._count


def are_cores_free(threads: int) -> bool:
    """Whether other programs leave as many cores, as of the last second; never waits."""
    return threads == 1 or _free_threads().count() >= threads


@cache
def _free_threads() -> FreeThreads:
    return FreeThreads()


def resolve_threads(asked: int | None, load: OtherLoad) -> int:
    """Return the number of threads asked for, else as many as others leave CPUs to compute on.

    One line says so if that is fewer than this process may use.
    """
    cpus = available_cpus()
    if asked is not None or cpus == 1:
        return asked or 1
    busy = load.measure()
    threads = threads_beside(busy, cpus, shared_cpus())
    if threads < cpus:
        notice(
            f"threads {threads} of {cpus}: other programs keep {busy:.1f} CPUs busy "
            f"(--threads {cpus} takes all)"
        )
    return threads


def threads_beside(load: float, cpus: int, shared: int) -> int:
    """Return the number of threads that computes fastest while others keep ``load`` CPUs busy.

    Args:
        load: of the ``shared`` CPUs. A process that uses only a few of these finds idle ones first.
        cpus: that this process uses at most.
        shared: see `shared_cpus`.
    """
    return max(1, min(cpus, math.floor(shared - load + 0.5)))


def _read(*, children: bool) -> _Reading:
    """Read the clocks of all CPUs that this process may run on."""
    process = psutil.Process()
    clocks = psutil.cpu_times(percpu=True)
    cpus = process.cpu_affinity() if hasattr(process, "cpu_affinity") else []  # not on macOS
    # Clocks have no numbers: if some are missing, as in LXC, whose they are is not known.
    if cpus and max(cpus) < len(clocks):
        clocks = [clocks[cpu] for cpu in cpus]
    # Steal is what the host of a virtual machine took; guest is part of user. Programs that were
    # told to be nice count too: between sessions or containers Linux ignores that.
    parts = ("user", "nice", "system", "irq", "softirq", "steal")
    everybody = sum(getattr(clock, part, 0.0) for clock in clocks for part in parts)
    cores = min(len(clocks), psutil.cpu_count(logical=False) or len(clocks))
    own = _own(process, children=children)
    return _Reading(time.monotonic(), everybody, own, _container_seconds(), cores)


def _container_seconds() -> float | None:
    """CPU seconds of everything in this container: cgroup v2, in microseconds, or v1."""
    with suppress(OSError, ValueError):
        name, microseconds = (CGROUP / "cpu.stat").read_text("ascii").split()[:2]
        if name == "usage_usec":
            return int(microseconds) / 1e6
    with suppress(OSError, ValueError):
        return int((CGROUP / "cpuacct" / "cpuacct.usage").read_text("ascii")) / 1e9
    return None


def _own(process: psutil.Process, *, children: bool) -> float:
    """CPU seconds of a process and of its children, if asked for: also of those that have ended."""
    times = process.cpu_times()
    own = times.user + times.system
    if not children:
        return own
    own += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    for child in process.children(recursive=True):
        try:
            its = child.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        own += its.user + its.system
    return own
