"""Errors that pass, of a drive, a network or the system: no file is to be remembered by them."""

from __future__ import annotations

import errno
from pathlib import Path

from eanet.errors import EanetError

PASSING = (
    *(errno.EIO, errno.EMFILE, errno.ENFILE),
    *(errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN),
)


def raise_passing(file: Path, error: BaseException | None) -> None:
    """Raise an `EanetError` if what a file could not be read for will pass."""
    if isinstance(error, MemoryError):
        reason = "not enough memory"
    elif isinstance(error, OSError) and error.errno in PASSING:
        reason = str(error.strerror)
    else:
        return
    raise EanetError(f"cannot read {file} ({reason}): run again, or remove the file") from error
