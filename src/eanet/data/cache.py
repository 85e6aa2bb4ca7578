"""A cache of decoded images and unpacked archives, so that a second run starts at once.

There is one entry per file or folder and purpose. An entry is replaced when its source changes and
removed when its source is gone, so the cache only holds what still exists.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eanet.console import notice_once
from eanet.errors import EanetError
from eanet.files import NoCacheError, cache_dir

FORMAT_VERSION = 7
STALE_AFTER_S = 24 * 3600

T = TypeVar("T")
Details = dict[str, Any]
Build = Callable[[Callable[[NDArray[np.uint8]], None]], Details]
"""Calls its argument with each image in turn and returns JSON-serialisable details to store."""


def fingerprint(files: Iterable[Path], folder: Path, *others: object) -> str:
    """Return a hash of the state of ``files``, which changes when a file or one of ``others`` does.

    It covers paths relative to ``folder``, sizes, times, inodes and read permission. A file that is
    replaced by another of the same size and date has another inode or time of change.
    """
    digest = hashlib.sha256(repr((FORMAT_VERSION, *others)).encode())
    for file in files:
        stamp: tuple[int, ...]
        try:
            status = file.stat()
            stamp = (
                *(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino),
                os.access(file, os.R_OK),
            )
        except OSError:
            stamp = ()  # a broken link: the decoder reports it
        digest.update(b"\0" + os.fsencode(os.path.relpath(file, folder)) + f"\0{stamp}".encode())
    return digest.hexdigest()


def cached(
    place: Path,
    purpose: str,
    state: str,
    build: Callable[[Path], Details],
    read: Callable[[Path, Details], T],
) -> T:
    """Return what ``read`` makes of the entry for ``place``, building the entry if needed.

    An entry appears complete or not at all.

    Args:
        place: the file or folder that the entry is made from.
        purpose: distinguishes several entries of one place.
        state: the entry is rebuilt when this has changed.
        build: fills a folder and returns JSON-serialisable details to store.
        read: opens a filled folder; raises anything if it is damaged, and is then built anew.

    Raises:
        NoCacheError: the cache cannot be written at all.
        EanetError: the disk is full.
    """
    place = place.resolve()
    key = hashlib.sha256(purpose.encode() + b"\0" + os.fsencode(place)).hexdigest()[:32]
    entry = cache_dir() / "entries" / key

    def opened() -> T | None:
        try:
            content = json.loads((entry / "details.json").read_text("utf-8"))
            is_current = isinstance(content, dict) and content["state"] == state
            return read(entry, content["details"]) if is_current else None
        except Exception:  # damaged files make readers raise nearly anything
            return None

    if (stored := opened()) is not None:
        return stored
    temporary = entry.with_name(f"tmp-{secrets.token_hex(8)}")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise NoCacheError(
            f"cannot write the cache {cache_dir()} ({error.strerror}); set EANET_CACHE_DIR to a "
            "folder that can be written"
        ) from error
    try:
        _tidy(entry.parent)
        content = {"place": str(place), "state": state, "details": build(temporary)}
        (temporary / "details.json").write_text(json.dumps(content), "utf-8")
        if opened() is None:  # unless another process has stored it meanwhile
            shutil.rmtree(entry, ignore_errors=True)
            try:
                temporary.replace(entry)
            except OSError:
                if opened() is None:
                    raise
    except OSError as error:
        raise EanetError(
            f"cannot write the cache {cache_dir()} ({error.strerror}): free some space, or set "
            "EANET_CACHE_DIR to another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if (stored := opened()) is None:
        raise EanetError(f"the cache entry {entry} vanished while in use; run again")
    return stored


def cached_images(
    place: Path,
    purpose: str,
    state: str,
    image_size: int,
    build: Build,
    parse: Callable[[Details, int], Any] = lambda details, _: details,
) -> tuple[NDArray[np.uint8], Any]:
    """Return decoded images, memory-mapped, (n, size, size, 3), and the details from ``build``.

    Arguments and errors are as for `cached`, except that if the cache cannot be written, the images
    are built in memory, with a single notice. ``parse`` reads the details of so many images, and
    raises anything if they are damaged.
    """

    def fill(folder: Path) -> Details:
        with (folder / "images.npy").open("wb") as file:
            return _write_images(file, image_size, build)

    def read(folder: Path, details: Details) -> tuple[NDArray[np.uint8], Any]:
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        if images.dtype != np.uint8 or images.shape[1:] != (image_size, image_size, 3):
            raise ValueError("other images")
        return images, parse(details, len(images))

    try:
        return cached(place, f"{purpose} {image_size}", state, fill, read)
    except NoCacheError as error:
        notice_once(f"{error}; until then images stay in memory")
        images, details = _build_in_memory(image_size, build)
        return images, parse(details, len(images))


def _build_in_memory(image_size: int, build: Build) -> tuple[NDArray[np.uint8], Details]:
    buffer = io.BytesIO()
    details = build(lambda pixels: _append(buffer, pixels))
    flat = np.frombuffer(buffer.getbuffer(), dtype=np.uint8)
    return flat.reshape(-1, image_size, image_size, 3), details  # (n, size, size, 3)


def _write_images(file: BinaryIO, image_size: int, build: Build) -> Details:
    """Write a .npy file whose number of images is only known at the end.

    A full disk is an error here; with a writable memory map it would be a crash.
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


def _tidy(folder: Path) -> None:
    """Remove entries whose source is gone, and leftovers of runs that were killed long ago."""
    for entry in folder.iterdir():
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):  # damaged
            if entry.name.startswith("tmp-"):
                newest = max((file.stat().st_mtime for file in entry.glob("*")), default=0.0)
                is_waste = time.time() - max(newest, entry.stat().st_mtime) > STALE_AFTER_S
            else:
                content = json.loads((entry / "details.json").read_text("utf-8"))
                is_waste = not Path(content["place"]).exists()
            if is_waste:
                shutil.rmtree(entry, ignore_errors=True)
