"""What the machine offers: devices, bfloat16, a compiler.

PyTorch is imported where it is asked: an exported file needs none, and does not wait for it.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Literal, Self

from eanet.console import notice_once
from eanet.errors import EanetError
from eanet.files import cache_dir
from eanet.private_files import private_folder

if TYPE_CHECKING:
    import torch

COMPILER = "clang++" if sys.platform == "darwin" else "g++"  # of torch.compile, unless CXX says
COMPILED_CODE = "TORCHINDUCTOR_CACHE_DIR"  # where torch.compile keeps its code
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from glibc's malloc.h
TRIM_THRESHOLD, MMAP_MAX = 128 * 1024, 65536  # glibc's defaults

Device = Literal["cpu", "cuda", "mps"]


def resolve_device(device: str) -> Device:
    """Return the best available device for "auto", or the one asked for.

    A device with a number, as tensors have, is that device if it is the current one.

    Raises:
        EanetError: the device asked for is not available.
    """
    import torch

    device = str(device)  # a torch.device, too
    available: dict[Device, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    names = [name for name, is_available in available.items() if is_available]
    if device == "auto":
        return names[0]
    kind, _, number = device.partition(":")
    for name in names:
        if name == device:
            return name
        if name == kind and number.isdecimal():
            if name == "cpu" or int(number) == torch.accelerator.current_device_index():
                return name
            raise EanetError(
                f"eanet computes on one GPU, the first that it is shown: set "
                f"CUDA_VISIBLE_DEVICES={number} in the environment, with --device {name}"
            )
    raise EanetError(f"no {device} device here; use --device {' or '.join(names)}")


@dataclass(frozen=True)
class Machine:
    """What there is to compute with, as far as a run is planned for it.

    Attributes:
        device: where to compute.
        has_bf16: see `has_bf16`.
        has_compiler: see `has_compiler`.
    """

    device: Device
    has_bf16: bool
    has_compiler: bool

    @classmethod
    def here(cls, device: str) -> Self:
        """Describe this machine; raises what `resolve_device` raises."""
        name = resolve_device(device)
        return cls(name, has_bf16(name), has_compiler(name))


def device_or_other(device: str) -> Device:
    """Like `resolve_device`, with fallback to "auto", for runs trained on another machine."""
    with suppress(EanetError):
        return resolve_device(device)
    return resolve_device("auto")


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits for a device; it does nothing on a CPU, where calls block."""
    if device.type == "cpu":
        return lambda: None

    import torch

    return lambda: torch.accelerator.synchronize(device)


def has_bf16(device: str) -> bool:
    """Whether the hardware itself computes matrix products in bfloat16."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps" or not torch.backends.mkldnn.is_available():
        return False
    if platform.machine() in ("x86_64", "AMD64"):  # oneDNN also counts emulation here
        return bool(torch.cpu._is_avx512_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def warn_of_emulation(precision: str, device: Device) -> None:
    """Say so if ``precision`` is bf16 and the processor has to emulate it."""
    if precision == "bf16" and device == "cpu" and not has_bf16(device):
        notice_once("this processor emulates bf16, which takes several times as long as fp32")


def processor_name() -> str:
    """Name of the processor, which Linux keeps in a file."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next step, where possible (glibc).

    By default it returns large tensors to the system, so that every step gets new pages, which the
    system zeroes first (see ``benchmarks/operations.py``). Peak memory does not change.
    """
    _set_malloc(trim_threshold=-1, mmap_max=0)


def return_freed_memory() -> None:
    """Undo `keep_freed_memory`: freed memory goes back to the system, as by default."""
    _set_malloc(trim_threshold=TRIM_THRESHOLD, mmap_max=MMAP_MAX)
    trim_memory()


def trim_memory() -> None:
    """Give memory that is free now back to the system, where possible (glibc)."""
    with suppress(AttributeError, OSError, TypeError):  # another C library or system
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """`keep_freed_memory` for the duration of the block; afterwards glibc's defaults apply."""
    keep_freed_memory()
    try:
        yield
    finally:
        return_freed_memory()


def _set_malloc(trim_threshold: int, mmap_max: int) -> None:
    with suppress(AttributeError, OSError, TypeError):  # another C library or system
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, mmap_max)
        mallopt(M_TRIM_THRESHOLD, trim_threshold)


def keep_compiled() -> None:
    """Make `torch.compile` keep its code in our cache folder, which survives a restart.

    That code is run, so the folder must be the user's alone; if it cannot be, the code is kept in a
    new folder, until this process ends. A folder that the user has chosen stays. PyTorch's own
    choice would be one that others know the name of.

    A killed linker leaves an empty library, which would fail to load ever after. Empty libraries
    are therefore removed, except those of the last minute, which may still be being linked.
    """
    if COMPILED_CODE not in os.environ:
        try:
            os.environ[COMPILED_CODE] = str(private_folder(cache_dir() / "compiled"))
        except EanetError as error:
            notice_once(f"compiled code is not kept for the next time: {error}")
            os.environ[COMPILED_CODE] = mkdtemp(prefix="eanet-compiled-")
            atexit.register(shutil.rmtree, os.environ[COMPILED_CODE], ignore_errors=True)
    for library in Path(os.environ[COMPILED_CODE]).glob("*/*.so"):
        with suppress(OSError):  # another process may have removed it
            state = library.stat()
            if state.st_size == 0 and time.time() - state.st_mtime > 60:
                library.unlink()


def has_compiler(device: Device) -> bool:
    """Whether `torch.compile` has what it needs: a compiler, Python's headers; Triton on CUDA.

    Triton compiles the code that starts what it has made with the C compiler that it finds.
    """
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return False
    if device == "cpu":  # it looks for no other
        return shutil.which(os.environ.get("CXX", COMPILER)) is not None
    asked = os.environ.get("CC")
    if not any(map(shutil.which, ("gcc", "clang") if asked is None else (asked,))):
        return False
    from torch.utils._triton import has_triton

    return device == "cuda" and has_triton()
