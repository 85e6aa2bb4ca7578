"""Files that are replaced as a whole or not at all, and where ours may be kept."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock, Timeout

from eanet.errors import EanetError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place when the block ends without an error.

    Raises:
        EanetError: the file cannot be written (disk full, no permission); ``path`` is as it was.
    """
    # The suffix stays: writers such as matplotlib choose the format by it.
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise EanetError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> Path:
    """Write rows behind their header.

    Raises:
        EanetError: the file cannot be written.
    """
    # File names may hold any bytes; they are written as they are.
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a mapping as JSON, one value a line.

    Raises:
        EanetError: the file cannot be written.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


@contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Keep other processes that ask likewise out of ``folder`` until the block ends.

    Where the file system knows no locks, nobody is kept out.

    Args:
        folder: which must be there for others to be kept out.
        wait: until another one that is at work there has ended.

    Raises:
        EanetError: another one is at work there, and not waited for.
    """
    file = folder / ".lock"
    lock = FileLock(file, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        raise EanetError(f"another process is using {folder}; wait until it ends") from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # where open files stay, it goes with the lock
                file.unlink(missing_ok=True)
        lock.release()


def check_writable(folder: Path) -> None:
    """Raise before long work what would be raised after it, when its results are written.

    Args:
        folder: where to; it need not be there yet, and is not made.

    Raises:
        EanetError: nothing can be written there.
    """
    place = folder
    while not os.path.lexists(place):
        place = place.parent
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise EanetError(f"cannot write to {folder}: {error.strerror}") from error


def readable(name: str) -> str:
    """The name of a file as text to write and draw; what is no UTF-8 in it as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def cache_dir() -> Path:
    """EANET_CACHE_DIR, else ``eanet`` in XDG_CACHE_HOME, else ``~/.cache/eanet``."""
    if own := os.environ.get("EANET_CACHE_DIR"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "eanet"
