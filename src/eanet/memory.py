"""Memory of this process: what it may still take, and the most that it has taken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import psutil
import torch

PROCESS, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Return the bytes that this process may still take before something is killed.

    The machine's free memory, or less if a container (cgroup v1 or v2) sets a limit: then that
    limit less what the container uses, without the file cache that the kernel would give up.
    """
    return min([psutil.virtual_memory().available, *_left_in_containers()])


def _left_in_containers() -> Iterator[int]:
    """Yield the bytes left in each group of processes around this one that has a limit."""
    with suppress(OSError, ValueError):
        for line in PROCESS.read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if "memory" in controllers.split(","):
                folder, limit, usage = CGROUPS / "memory", "limit_in_bytes", "usage_in_bytes"
                cache = "total_inactive_file"
            elif not controllers:  # version 2
                folder, limit, usage, cache = CGROUPS, "max", "current", "inactive_file"
            else:
                continue
            inside = PurePosixPath(group).relative_to("/")
            # Within a container the path may be the host's: the container's own group is the root.
            for place in (inside, *inside.parents):
                with suppress(OSError, ValueError):  # no such file, or the word "max": no limit
                    allowed = int((folder / place / f"memory.{limit}").read_text("ascii"))
                    used = int((folder / place / f"memory.{usage}").read_text("ascii"))
                    yield max(0, allowed - used + _statistic(folder / place / "memory.stat", cache))


def _statistic(path: Path, name: str) -> int:
    """Return a value of a file with one name and number a line; 0 if it is not there."""
    for line in path.read_text("ascii").splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    return 0


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
