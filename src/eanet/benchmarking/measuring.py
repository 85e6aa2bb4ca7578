"""Measure durations, and record what they were measured on and with."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import torch

from eanet.benchmarking.settings import BenchmarkSettings
from eanet.device import processor_name
from eanet.version import __version__

WARM_UP, LEAST = 2, 3  # untimed calls, and minimum of timed ones


def durations(
    call: Callable[[], object],
    seconds: float,
    synchronize: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return the duration of each call, repeated for ``seconds`` but at least three times.

    Args:
        call: what to measure; first called twice untimed, to compile and fill caches.
        seconds: no call after the third starts later than this.
        synchronize: waits until the device has finished its work; nothing on a CPU, where calls
            block.
        clock: seconds from any starting point.
    """
    for _ in range(WARM_UP):
        call()
    synchronize()
    seconds_taken: list[float] = []
    start = before = clock()
    while len(seconds_taken) < LEAST or before - start < seconds:
        call()
        synchronize()
        now = clock()
        seconds_taken.append(now - before)
        before = now
    return seconds_taken


def benchmark_metadata(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """Return hardware, versions, date and settings, without which figures are worth nothing."""
    hardware: dict[str, Any] = {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": settings.threads,
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


def summarize_metadata(metadata: Mapping[str, Any]) -> str:
    """Summarise what `benchmark_metadata` returns, for the foot of a picture."""
    hardware, settings = metadata["hardware"], metadata["settings"]
    where = hardware.get("gpu") or f"{hardware['processor']}, threads {hardware['threads']}"
    compiled = "compiled" if settings["compile"] == "on" else "not compiled"
    versions = f"PyTorch {metadata['versions']['torch']}"
    return f"{where}, {settings['precision']}, {compiled}, {versions}, {metadata['date'][:10]}"
