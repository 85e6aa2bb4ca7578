"""Compiles `kernels.cpp` once for this processor, if a compiler is found, and loads it.

The library is called by ctypes: an extension of PyTorch (`torch.utils.cpp_extension`) would need
its headers and take half a minute to compile, while this takes two seconds.
Neither this module nor what it imports needs PyTorch, so that the command line can ask for `status`
at once.

A library is code that runs as the user, so only our own is loaded: from a folder that belongs to
the user and that nobody else can write to, and if its SHA-256 is the one written beside it when it
was built. Anything else is built anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from contextlib import suppress
from ctypes import c_int, c_int64, c_uint64, c_void_p
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from eanet.console import notice_once
from eanet.errors import EanetError, unknown_name
from eanet.files import cache_dir, check_writable
from eanet.private_files import move_sealed, open_sealed, private_folder, seal

if TYPE_CHECKING:
    import torch

SWITCH = "EANET_KERNELS"
SOURCE = resources.files("eanet.ops") / "kernels.cpp"
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-x", "c++"),
    # What is needed to vectorise a sum, without affecting infinities and NaN.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
)
CPUINFO = Path("/proc/cpuinfo")
FEATURES = ("model name", "flags", "CPU implementer", "CPU part", "CPU variant", "Features")
DESCRIPTORS = Path("/proc/self/fd")  # open files of this process by name, on Linux

_COUNTS = (c_uint64, c_int, c_int)  # seed, threshold, threads
_SHAPE = (c_int64, c_int64, c_int, c_int)  # images, tokens, heads, slots
SIGNATURES = {  # as in kernels.cpp
    "random_words": (c_uint64, c_int64, c_void_p, c_int),
    "softmax_forward": (c_int, *[c_void_p] * 2, c_int64, c_int64, *_COUNTS),
    "softmax_backward": (c_int, *[c_void_p] * 3, c_int64, c_int64, *_COUNTS),
    "normalize_forward": (c_int, *[c_void_p] * 4, *_SHAPE, *_COUNTS),
    "normalize_backward": (c_int, *[c_void_p] * 5, *_SHAPE, *_COUNTS),
}

_library: ctypes.CDLL | None = None  # once built or found, and loaded
_failure: str | None = None  # why that did not succeed


class _UnavailableError(Exception):
    """Why there are no kernels, in a few words."""


def build_kernels() -> bool:
    """Compile the CPU kernels, unless an earlier process has, and use them from now on.

    `eanet.train`, `eanet.Predictor` and the benchmarks do this themselves; call it before using
    bare layers. Without it, or if it is impossible, layers compute the same with PyTorch's own
    operations, which takes longer. No compiler ever runs inside ``forward``.

    Set ``EANET_KERNELS=off`` to do without.

    Returns:
        Whether the kernels are in use. If not, one line on standard error has said why.

    Raises:
        EanetError: ``EANET_KERNELS`` is neither ``on`` nor ``off``.

    Examples:
        >>> eanet.build_kernels() in (True, False)
        True
    """
    global _library, _failure
    if _library is None and not _is_off() and _failure is None:
        try:
            _library = _load_or_build()
        except _UnavailableError as reason:
            _failure = str(reason)
            notice_once(f"compiled kernels are not used, which takes longer: {reason}")
    return _library is not None


def library(dtype: torch.dtype | None = None) -> ctypes.CDLL | None:
    """Return the kernels if they are in use and support a type; never compiles anything."""
    return _library if dtype is None or str(dtype) in ("torch.float32", "torch.bfloat16") else None


def status() -> str:
    """Say in a few words whether the kernels are in use, or would be, and if not, why."""
    if _library is not None:
        return "in use"
    try:
        if _is_off():
            return f"not in use: {SWITCH}=off"
    except EanetError as error:
        return f"not in use: {error}"
    if _failure is not None:
        return f"not in use: {_failure}"
    try:
        compiler = _find_compiler()
        folder = cache_dir() / "kernels"
        with suppress(OSError):
            if folder.exists():
                os.close(open_sealed(_folder() / _name(compiler)))
                return "built; in use once work begins"
        check_writable(folder)
    except (EanetError, _UnavailableError) as reason:
        return f"not in use: {reason}"
    return f"built by {Path(compiler).name} once work begins"


def find_compiler() -> str | None:
    """Path of a C++ compiler: the one named by CXX, g++ or clang++."""
    names = (os.environ.get("CXX", "g++"), "g++", "clang++")
    return next(filter(None, map(shutil.which, names)), None)


def _is_off() -> bool:
    switch = os.environ.get(SWITCH) or "on"
    if switch not in ("on", "off"):
        raise unknown_name(SWITCH, switch, ("on", "off"))
    return switch == "off"


def _load_or_build() -> ctypes.CDLL:
    compiler, folder = _find_compiler(), _folder()
    path = folder / _name(compiler)
    try:
        with suppress(OSError):
            return _load(path)
        return _build(compiler, path)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines() or [
            f"exit code {error.returncode}"
        ]
        first = next((line for line in lines if "error" in line), lines[0])
        raise _UnavailableError(f"{compiler}: {first.strip()}") from None
    except subprocess.SubprocessError as error:
        raise _UnavailableError(f"{compiler}: {error}") from None
    except OSError as error:
        raise _UnavailableError(f"{error.filename or folder}: {error.strerror or error}") from None


def _find_compiler() -> str:
    compiler = find_compiler()
    if compiler is None:
        raise _UnavailableError("no C++ compiler here (g++ or clang++, or what CXX names)")
    return compiler


def _folder() -> Path:
    try:
        return private_folder(cache_dir() / "kernels")
    except EanetError as error:
        raise _UnavailableError(str(error)) from None


def _name(compiler: str) -> str:
    """Name of the library made for this source, processor and compiler."""
    made_for = repr((platform.node(), _processor(), compiler, FLAGS)).encode()
    return f"{hashlib.sha256(SOURCE.read_bytes() + made_for).hexdigest()[:32]}.so"


def _processor() -> str:
    """Return what the compiler's ``native`` depends on: machines may share a cache folder."""
    with suppress(OSError):
        lines = CPUINFO.read_text("utf-8").splitlines()
        return "".join(line for line in lines[:30] if line.startswith(FEATURES))
    return platform.processor()


def _build(compiler: str, path: Path) -> ctypes.CDLL:
    """Compile, load, and keep the library and its SHA-256 for later processes."""
    with TemporaryDirectory(dir=path.parent) as own:  # several processes may compile
        made = Path(own) / path.name
        command = [compiler, *FLAGS, "-", "-o", str(made)]
        subprocess.run(
            command, input=SOURCE.read_bytes(), check=True, capture_output=True, timeout=120
        )
        seal(made)
        loaded = _load(made)
        move_sealed(made, path)
    return loaded


def _load(path: Path) -> ctypes.CDLL:
    """Load a library that is as it was built, else raise an OSError."""
    descriptor = open_sealed(path)
    if DESCRIPTORS.is_dir():  # by its descriptor: what was checked is what is loaded
        # Which stays open, since the linker knows the library by that name.
        loaded = ctypes.CDLL(str(DESCRIPTORS / str(descriptor)))
    else:
        os.close(descriptor)
        loaded = ctypes.CDLL(str(path))
    for function, arguments in SIGNATURES.items():
        getattr(loaded, function).argtypes = arguments
        getattr(loaded, function).restype = None
    return loaded
