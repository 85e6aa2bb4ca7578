"""The cache: decoded folders of images, so that a second run starts at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eanet.console import notice
from eanet.errors import EanetError

FORMAT_VERSION = 1
STALE_AFTER_S = 24 * 3600

Details = dict[str, Any]
Build = Callable[[Callable[[NDArray[np.uint8]], None]], Details]
"""Calls its argument with each image in turn, and returns what else to keep, fit for JSON."""


def cache_dir() -> Path:
    """EANET_CACHE_DIR, else ``eanet`` in XDG_CACHE_HOME, else ``~/.cache/eanet``."""
    if own := os.environ.get("EANET_CACHE_DIR"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "eanet"


def files_key(folder: Path, files: Iterable[Path], image_size: int) -> str:
    """A name for the decoded ``files``, which changes when one of them or the size does.

    It covers their paths below ``folder``, sizes, times of change and whether they may be read, but
    not where ``folder`` is.
    """
    digest = hashlib.sha256(f"{FORMAT_VERSION} {image_size}".encode())
    for file in files:
        try:
            status = file.stat()
            stamp = (status.st_size, status.st_mtime_ns, os.access(file, os.R_OK))
        except OSError:
            stamp = (0, 0, False)  # a broken link: the decoder says so
        digest.update(b"\0" + os.fsencode(file.relative_to(folder)) + f"\0{stamp}".encode())
    return digest.hexdigest()


def cached_images(key: str, image_size: int, build: Build) -> tuple[NDArray[np.uint8], Details]:
    """The images of an entry, memory-mapped, (n, size, size, 3), and its details.

    A missing or damaged entry is built first; it appears as a whole or not at all. Where the cache
    cannot be written, the images are built in memory, with a notice.

    Raises:
        EanetError: the disk is full.
    """
    entry = cache_dir() / "folders" / key
    found = _open(entry, image_size)
    if found:
        return found
    try:
        temporary = entry.parent / f"tmp-{secrets.token_hex(8)}"
        temporary.mkdir(parents=True)
    except OSError as error:
        notice(
            f"cannot write the image cache {cache_dir()} ({error.strerror}): images stay in memory;"
            " set EANET_CACHE_DIR to a folder that can be written"
        )
        return _build_in_memory(image_size, build)
    try:
        _remove_stale(entry.parent)
        with (temporary / "images.npy").open("wb") as file:
            details = _write_images(file, image_size, build)
        (temporary / "details.json").write_text(json.dumps(details))
        if not _open(entry, image_size):  # nor has another process stored it meanwhile
            shutil.rmtree(entry, ignore_errors=True)
            temporary.replace(entry)
    except OSError as error:
        raise EanetError(
            f"cannot write the image cache in {cache_dir()} ({error.strerror}): free some space, "
            "or set EANET_CACHE_DIR to another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    stored = _open(entry, image_size)
    if not stored:
        raise EanetError(f"the image cache {entry} vanished while in use; run again")
    return stored


def _open(entry: Path, image_size: int) -> tuple[NDArray[np.uint8], Details] | None:
    """A whole entry, or None."""
    try:
        details = json.loads((entry / "details.json").read_text())
        images = np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = images.dtype == np.uint8 and images.shape[1:] == (image_size, image_size, 3)
    return (images, details) if whole and isinstance(details, dict) else None


def _build_in_memory(image_size: int, build: Build) -> tuple[NDArray[np.uint8], Details]:
    buffer = io.BytesIO()
    details = build(lambda pixels: _append(buffer, pixels))
    flat = np.frombuffer(buffer.getbuffer(), dtype=np.uint8)
    return flat.reshape(-1, image_size, image_size, 3), details  # (n, size, size, 3)


def _write_images(file: BinaryIO, image_size: int, build: Build) -> Details:
    """Write a .npy whose number of images is known only at the end.

    Written, not mapped for writing: a full disk is an error here and a crash there.
    """
    _write_header(file, 0, image_size)
    start = file.tell()
    details = build(lambda pixels: _append(file, pixels))
    count = (file.tell() - start) // (image_size * image_size * 3)
    file.seek(0)
    _write_header(file, count, image_size)  # as long as the first: NumPy leaves room to grow
    return details


def _write_header(file: BinaryIO, count: int, image_size: int) -> None:
    shape = (count, image_size, image_size, 3)
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _append(file: BinaryIO, pixels: NDArray[np.uint8]) -> None:
    file.write(np.ascontiguousarray(pixels).data)


def _remove_stale(folder: Path) -> None:
    """Remove what runs that were killed long ago left behind."""
    for left in folder.glob("tmp-*"):
        newest = max(
            (file.stat().st_mtime for file in left.glob("*")), default=left.stat().st_mtime
        )
        if time.time() - newest > STALE_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)
