"""Atomic file writes, folder locks, paths as users write them, and the cache folder."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock, Timeout

from eanet.errors import EanetError, nearest
from eanet.text import cell
from eanet.unfinished import alone, unfinished

MOST_LOOKED_AT = 10_000  # files in a folder, for one of another name
MOST_TEXT_BYTES = 1 << 24  # of a file of settings or figures


class NoCacheError(EanetError):
    """The cache folder cannot be written at all."""


@dataclass(frozen=True)
class _Group:
    """Files below a folder that are to appear together: the finished ones, each with its path."""

    folder: Path
    stack: ExitStack
    files: list[tuple[Path, Path]] = field(default_factory=list)


_group: ContextVar[_Group | None] = ContextVar("group", default=None)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new file beside ``path``, which replaces it if the block ends without an error.

    Others may write the same path at the same time: the last to finish wins.

    Raises:
        EanetError: the file cannot be written (disk full, no permission); ``path`` is unchanged.
    """
    group = _group.get()
    group = group if group is not None and path.is_relative_to(group.folder) else None
    try:
        with ExitStack() as own:
            partial = (own if group is None else group.stack).enter_context(unfinished(path))
            yield partial
            if group is None:
                partial.replace(path)
            else:
                group.files.append((partial, path))
    except OSError as error:
        raise EanetError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def replacing_together(folder: Path) -> Iterator[None]:
    """Let all files that the block writes below ``folder`` appear at its end, or none if it fails.

    They are those that it writes by `replacing`. Of several processes that write the same files,
    the last to finish replaces all of them, so that the files of two are never mixed. Threads that
    the block starts have no part in this.
    """
    outer = _group.get()
    if outer is not None and folder.is_relative_to(outer.folder):
        yield
        return
    with ExitStack() as stack:
        group = _Group(folder, stack)
        token = _group.set(group)
        try:
            yield
        finally:
            _group.reset(token)
        with ExitStack() as locks:
            for place in sorted({path.parent.resolve() for _, path in group.files}):
                locks.enter_context(alone(place))
            for partial, path in group.files:
                try:
                    partial.replace(path)
                except OSError as error:
                    raise EanetError(f"cannot write {path}: {error.strerror}") from error


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> Path:
    """Write a header and rows as CSV, each value and name of a column as `cell` makes it.

    Raises:
        EanetError: the file cannot be written.
    """
    # File names may hold any bytes; write them unchanged.
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(cell, header))
        writer.writerows(map(cell, row) for row in rows)
    return path


def read_numbers(path: Path, required: Iterable[str]) -> list[dict[str, float]]:
    """Read a CSV file of numbers, as one mapping per row.

    Raises:
        EanetError: it cannot be read, lacks a required column, or holds anything else.
    """
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        if missing := [name for name in required if name not in (rows.fieldnames or ())]:
            raise ValueError(f"no column {missing[0]!r}")
        return [{name: float(value) for name, value in row.items()} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise EanetError(
            f"{path}, line {rows.line_num}, has been changed or damaged: {str(error)[:100]}"
        ) from error


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a mapping as JSON, one value per line.

    Raises:
        EanetError: the file cannot be written.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        EanetError: it cannot be read, or is larger than any that this is meant for.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_TEXT_BYTES + 1)
        if len(content) > MOST_TEXT_BYTES:
            raise EanetError(f"cannot read {path}: it has more than {MOST_TEXT_BYTES:,} bytes")
        return content.decode("utf-8-sig")  # Windows editors may add a byte order mark
    except OSError as error:
        raise EanetError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EanetError(f"cannot read {path}: it is not UTF-8 text") from error


@contextmanager
def lock_folder(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Lock ``folder`` against other processes that use this function, until the block ends.

    Does nothing if the file system does not support locks.

    Args:
        folder: an existing folder.
        wait: wait until another process has released the lock.

    Raises:
        EanetError: another process has the lock, and ``wait`` is false.
    """
    file = folder / ".lock"
    # Not by the presence of a file, which outlives a process that is killed.
    lock = FileLock(file, timeout=-1 if wait else 0, fallback_to_soft=False)
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
            with suppress(OSError):  # if open files cannot be removed, releasing the lock does it
                file.unlink(missing_ok=True)
        lock.release()


def check_writable(folder: Path) -> None:
    """Raise before long work if its results could not be written afterwards.

    Args:
        folder: folder for the results; it need not exist, and is not created.

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


def user_path(where: str | Path) -> Path:
    """A path as users write it: ``~`` is their home, which shells do not replace everywhere."""
    return Path(os.path.expanduser(where))  # noqa: PTH111 (other than Path's: ~x may be a file)


def nearest_path(path: Path, folder: Path, is_wanted: Callable[[Path], bool]) -> Path | None:
    """Return what a path that does not exist is probably a misspelling of, if there is such.

    Args:
        path: its name is looked for where it says, and in ``folder``.
        folder: where such things usually are.
        is_wanted: whether something is of the kind that is looked for.
    """
    for place in (path.parent, folder):
        with suppress(OSError):
            names = [other.name for other in islice(place.iterdir(), MOST_LOOKED_AT)]
            while near := nearest(path.name, names):
                if is_wanted(place / near):
                    return place / near
                names.remove(near)
    return None


def readable(name: str) -> str:
    """A file name as printable text, with bytes that are not UTF-8 escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def cache_dir() -> Path:
    """EANET_CACHE_DIR, else ``eanet`` in XDG_CACHE_HOME, else ``~/.cache/eanet``.

    Raises:
        NoCacheError: the user has no home, as in containers that run under a number without a name.
    """
    if own := os.environ.get("EANET_CACHE_DIR"):
        return user_path(own)
    folder = user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "eanet"
    if folder.parts[0] == "~":
        raise NoCacheError("this user has no home for the cache; set EANET_CACHE_DIR to a folder")
    return folder
