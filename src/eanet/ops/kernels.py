"""Compiles `kernels.cpp` once for this processor, if a compiler is found, and loads it."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from eanet.device import find_compiler
from eanet.files import cache_dir

SOURCE = resources.files("eanet.ops") / "kernels.cpp"
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-x", "c++"),
    # What is needed to vectorise a sum, without affecting infinities and NaN.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
)
CPUINFO = Path("/proc/cpuinfo")
FEATURES = ("model name", "flags", "CPU implementer", "CPU part", "CPU variant", "Features")
NUMBERS = {torch.float32: 0, torch.bfloat16: 1}  # supported types, and their value of BFLOAT16


@cache
def load(**macros: int) -> ctypes.CDLL | None:
    """Return the kernels compiled with these macros, or None if no compiler can do it.

    The first use on a machine takes half a second; the result is kept in the cache folder.
    """
    compiler = find_compiler()
    if compiler is None:
        return None
    defined = [f"-D{name}={value}" for name, value in macros.items()]
    text = SOURCE.read_bytes()
    made_for = repr((platform.node(), _processor(), compiler, FLAGS, defined)).encode()
    path = cache_dir() / "kernels" / f"{hashlib.sha256(text + made_for).hexdigest()[:32]}.so"
    with suppress(OSError, subprocess.SubprocessError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=path.parent) as own:  # several processes may compile
                made = Path(own) / path.name
                command = [compiler, *FLAGS, *defined, "-", "-o", str(made)]
                subprocess.run(command, input=text, check=True, capture_output=True, timeout=60)
                made.replace(path)
        return ctypes.CDLL(str(path))
    return None


def _processor() -> str:
    """Return what the compiler's ``native`` depends on: machines may share a cache folder."""
    with suppress(OSError):
        lines = CPUINFO.read_text("utf-8").splitlines()
        return "".join(line for line in lines[:30] if line.startswith(FEATURES))
    return platform.processor()


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """Return the address of a contiguous tensor's data."""
    return ctypes.c_void_p(tensor.data_ptr())
