"""Compiles `kernels.cpp` for this processor where a compiler is found, once, and loads it."""

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

SOURCE = resources.files("eanet.models") / "kernels.cpp"
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-x", "c++"),
    # What it takes to vectorise a sum, and nothing that would touch infinities and NaN.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
)
NUMBERS = {torch.float32: 0, torch.bfloat16: 1}  # the types compiled for, and their BFLOAT16


@cache
def load(**macros: int) -> ctypes.CDLL | None:
    """The kernels compiled with these macros; none where there is no compiler that can do it.

    Half a second at the first use on a machine, kept in the cache folder.
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
            with TemporaryDirectory(dir=path.parent) as own:  # of several that start at once
                made = Path(own) / path.name
                command = [compiler, *FLAGS, *defined, "-", "-o", str(made)]
                subprocess.run(command, input=text, check=True, capture_output=True, timeout=60)
                made.replace(path)
        return ctypes.CDLL(str(path))
    return None


def _processor() -> str:
    """What the compiler's ``native`` depends on: a cache folder may be shared by machines."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return "".join(line for line in lines[:30] if line.startswith(("model name", "flags")))
    return platform.processor()


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """Where a contiguous tensor's numbers are."""
    return ctypes.c_void_p(tensor.data_ptr())
