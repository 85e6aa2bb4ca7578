"""Measure time and memory, and write figures."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eanet import __version__
from eanet.benchmarking.settings import BenchmarkSettings
from eanet.device import processor_name
from eanet.files import write_csv

WARM_UP, LEAST = 2, 3  # untimed calls, and minimum of timed ones


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


def durations(
    call: Callable[[], object],
    seconds: float,
    synchronize: Callable[[], None],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return the duration of each call, repeated for ``seconds`` but at least three times.

    Args:
        call: what to measure; first called twice untimed, to compile and fill caches.
        seconds: no call after the third starts later than this.
        synchronize: waits until the device has finished its work.
        clock: seconds from any starting point.
    """
    for _ in range(WARM_UP):
        call()
    synchronize()
    found: list[float] = []
    begun = before = clock()
    while len(found) < LEAST or before - begun < seconds:
        call()
        synchronize()
        now = clock()
        found.append(now - before)
        before = now
    return found


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits for a device; it does nothing on a CPU, where calls block."""
    if device.type == "cpu":
        return lambda: None
    return lambda: torch.accelerator.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Return the peak bytes of GPU tensors, else of this process, since `reset_peak_memory`."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":  # whose allocator returns no memory
        return int(torch.mps.driver_allocated_memory())
    if sys.platform == "linux":
        # Not getrusage, whose peak a process inherits from the one that started it.
        status = Path("/proc/self/status").read_text("ascii")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts it in bytes


def reset_peak_memory(device: torch.device) -> int:
    """Reset the peak where possible, and return its new value in bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", "ascii")  # see man 5 proc
    return peak_memory(device)


def describe(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """Return hardware, versions, date and settings, without which figures are worth nothing."""
    hardware: dict[str, Any] = {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": settings.threads or torch.get_num_threads(),
    }
    if device.type == "cuda":
        hardware["gpu"] = torch.cuda.get_device_name(device)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware,
        "versions": {
            "eanet": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "settings": settings.model_dump(mode="json", exclude={"output"}),
    }


def short(value: float) -> str:
    """Format a number for reading, to three digits or the unit: 84.2 M, 1,234 or 0.0312."""
    value = float(f"{value:.3g}") if value >= 1e6 else value  # 999,600,000 is 1 G
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def one_line(about: Mapping[str, Any]) -> str:
    """Summarise what `describe` returns, for the foot of a picture."""
    hardware, settings = about["hardware"], about["settings"]
    where = hardware.get("gpu") or f"{hardware['processor']}, threads {hardware['threads']}"
    compiled = "compiled" if settings["compile"] == "on" else "not compiled"
    versions = f"PyTorch {about['versions']['torch']}"
    return f"{where}, {settings['precision']}, {compiled}, {versions}, {about['date'][:10]}"


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
