"""Files that are run or believed when they are read again: only as this user wrote them.

They lie in a `private_folder`. Beside each is its SHA-256, which a file that was not written to the
end does not have.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from eanet.errors import EanetError


def private_folder(folder: Path) -> Path:
    """Make a folder, unless it exists, in which nobody else can put code that we would then run.

    It belongs to the user, who alone can enter it (mode 0700), and nobody else can replace it or a
    folder above it. Those above may be writable by the user's own group, which by convention has
    the user's number.

    Returns:
        Its path, without symbolic links.

    Raises:
        EanetError: another user owns it or can replace it, or it cannot be made.
    """
    if not hasattr(os, "geteuid"):
        raise EanetError(f"{folder}: this system cannot say who else may write there")
    user = os.geteuid()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder = folder.parent.resolve() / folder.name
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        for place in (folder, *folder.parents):
            state, is_above = place.lstat(), place != folder
            if not stat.S_ISDIR(state.st_mode):
                raise EanetError(f"{place} is not a folder; remove it")
            if state.st_uid != user and not (is_above and state.st_uid == 0):
                raise EanetError(f"{place} belongs to another user; set EANET_CACHE_DIR to another")
            others = stat.S_IWGRP | stat.S_IWOTH
            if is_above and state.st_mode & stat.S_ISVTX:
                others = 0  # such as /tmp, where only its owner can replace an entry
            elif is_above and state.st_gid == user:
                others = stat.S_IWOTH
            if state.st_mode & others:
                raise EanetError(f"{place} can be written by others; chmod go-w {place}")
        if stat.S_IMODE(folder.stat().st_mode) != 0o700:  # on a read-only disk, it may be already
            folder.chmod(0o700)
    except OSError as error:
        raise EanetError(f"cannot use {folder}: {error.strerror or error}") from error
    return folder


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
