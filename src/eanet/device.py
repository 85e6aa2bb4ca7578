"""What the machine offers: devices, bfloat16, a compiler."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
from torch.utils._triton import has_triton

from eanet.errors import EanetError
from eanet.files import cache_dir

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h

Device = Literal["cpu", "cuda", "mps"]


def resolve_device(device: str) -> Device:
    """The device that "auto" stands for, or the one asked for.

    Raises:
        EanetError: the device asked for is not there.
    """
    there: dict[Device, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    found = [name for name, is_there in there.items() if is_there]
    if device == "auto":
        return found[0]
    for name in found:
        if name == device:
            return name
    raise EanetError(f"no {device} device here; use --device {' or '.join(found)}")


def device_or_other(device: str) -> Device:
    """As `resolve_device`, or what there is: where a run that another machine trained is used."""
    with suppress(EanetError):
        return resolve_device(device)
    return resolve_device("auto")


def has_bf16(device: Device) -> bool:
    """Whether matrix products in bfloat16 are computed by the hardware itself."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps" or not torch.backends.mkldnn.is_available():
        return False
    if platform.machine() in ("x86_64", "AMD64"):  # where oneDNN also counts what it emulates
        return bool(torch.cpu._is_avx512_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def processor_name() -> str:
    """What the processor is called, which Linux keeps in a file."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next step, where it can (glibc).

    It would hand large tensors back to the system, which gives every step new pages and fills each
    with zeros first (``benchmarks/operations.py`` shows it). The peak stays as it is.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library, another system
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def keep_compiled() -> None:
    """Have `torch.compile` keep its code beside our own, where a restart does not clear it away.

    A linker that was killed leaves an empty library, which would be loaded in vain ever after, so
    these are removed; one of this minute may be at work.
    """
    folder = os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "compiled"))
    for library in Path(folder).glob("*/*.so"):
        with suppress(OSError):  # another process was faster
            state = library.stat()
            if state.st_size == 0 and time.time() - state.st_mtime > 60:
                library.unlink()


def find_compiler() -> str | None:
    """Path of a C++ compiler: the one named by CXX, g++ or clang++."""
    names = (os.environ.get("CXX", "g++"), "g++", "clang++")
    return next(filter(None, map(shutil.which, names)), None)


def has_compiler(device: Device) -> bool:
    """Whether `torch.compile` finds what it needs: a C++ compiler on CPUs, Triton on GPUs."""
    if device == "cpu":
        return find_compiler() is not None
    return device == "cuda" and has_triton()
