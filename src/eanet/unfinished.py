"""Files that are being written: each writer's is its own, and what a killed one left is removed.

An unfinished file is locked by its writer for as long as it is one. The system drops the lock when
the writer ends, however it ends, so that a file that nobody has locked is abandoned. Locks of other
machines on a network file system may be invisible here, and some file systems have none: what was
not certainly made on this machine is abandoned only after a day without a change.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from zlib import crc32

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".partial-"
STALE_AFTER_S = 24 * 3600
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_tidied: set[Path] = set()  # folders in which this process has looked for abandoned files


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yield a new empty file beside ``path`` that no other writer uses; remove it afterwards.

    Its suffix is that of ``path``, because writers such as matplotlib choose the format by it. Its
    folder is made if need be.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, descriptor = _create(path)
    try:
        if (folder := path.parent.resolve()) not in _tidied:
            _tidied.add(folder)
            _remove_abandoned(folder, os.fstat(descriptor).st_mtime)
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out of blocks with ``folder``, where folders can be locked.

    For blocks that take no time, since others wait.
    """
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        _lock(descriptor, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _create(path: Path) -> tuple[Path, int]:
    """Make and lock an unfinished file; return it and the descriptor that holds the lock."""
    while True:
        partial = path.with_name(f"{PREFIX}{_machine()}-{secrets.token_hex(4)}{path.suffix}")
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            _lock(descriptor, wait=True)
            if os.path.samestat(os.fstat(descriptor), partial.stat()):
                return partial, descriptor
        except FileNotFoundError:
            pass  # taken for abandoned just before it was locked
        os.close(descriptor)


def _remove_abandoned(folder: Path, now: float) -> None:
    """Remove what killed writers left in a folder; ``now`` is the time by its file system."""
    for partial in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _is_abandoned(partial.name, descriptor, now):
                    partial.unlink()
            finally:
                os.close(descriptor)


def _is_abandoned(name: str, descriptor: int, now: float) -> bool:
    try:
        is_known = _lock(descriptor) and name.startswith(f"{PREFIX}{_machine()}-")
    except BlockingIOError:
        return False  # its writer is at work
    return is_known or now - os.fstat(descriptor).st_mtime > STALE_AFTER_S


def _lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; return whether it is, which some systems cannot do.

    Raises:
        BlockingIOError: another has the lock, and ``wait`` is false.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@cache
def _machine() -> str:
    """Eight digits for the running system, which all its containers share."""
    try:
        name = BOOT_ID.read_text("ascii")
    except OSError:
        name = platform.node()
    return f"{crc32(name.encode()):08x}"
