"""Files that are run or believed when they are read again: only as this user wrote them.

They lie in a folder from `eanet.files.private_folder`. Beside each is its SHA-256, which a file
that was not written to the end does not have.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def seal(path: Path) -> None:
    """Write the SHA-256 of a file beside it, and let nobody else read or write the two."""
    _digest(path).write_text(hashlib.sha256(path.read_bytes()).hexdigest(), "ascii")
    for file in (path, _digest(path)):
        file.chmod(0o600)


def move_sealed(made: Path, path: Path) -> None:
    """Move a sealed file to its place in the same file system; whatever is there is replaced."""
    made.replace(path)
    _digest(made).replace(_digest(path))


def open_sealed(path: Path) -> int:
    """Open a file for reading and return its descriptor.

    Raises:
        OSError: there is none, somebody else could have written it, or it is not as it was sealed.
    """
    with os.fdopen(_open_own(_digest(path)), "rb") as file:
        expected = file.read(100)
    descriptor = _open_own(path)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found.encode() != expected:
        os.close(descriptor)
        raise OSError(f"{path} is not as it was written")
    return descriptor


def read_sealed(path: Path) -> bytes:
    """Return the content of a file; raises what `open_sealed` raises."""
    with os.fdopen(open_sealed(path), "rb") as file:
        file.seek(0)
        return file.read()


def _digest(path: Path) -> Path:
    """Where the SHA-256 of a file is kept."""
    return path.with_name(f"{path.name}.sha256")


def _open_own(path: Path) -> int:
    """Open a regular file that belongs to the user and that nobody else can write to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        os.close(descriptor)
        raise OSError(f"{path} could have been written by others")
    return descriptor
