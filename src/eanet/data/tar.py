"""Tar archives, compressed or not, of which no more than so many bytes are ever unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Self

MOST_HEADER_BYTES = 1 << 20  # of long names and other records about a member, held in memory

DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError)
"""What reading a damaged archive raises, besides OSError."""

_COMPRESSIONS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_RECORDS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


class TooLargeError(tarfile.TarError):
    """An archive unpacks to more than it may."""


def open_tar(file: BinaryIO, most: int) -> tarfile.TarFile:
    """Open an archive, of which at most ``most`` bytes can be read, headers included.

    Raises:
        TarError: it is no archive, or (later, while reading) it has more bytes or is damaged.
        OSError: it cannot be read.
    """
    start = file.read(6)
    file.seek(0)
    opener = next((o for magic, o in _COMPRESSIONS.items() if start.startswith(magic)), None)
    content = file if opener is None else opener(file)
    return tarfile.TarFile(fileobj=_Bounded(content, most), tarinfo=_Member)


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _RECORDS and member.size > MOST_HEADER_BYTES:
            raise TooLargeError("a header is too large")
        return member


class _Bounded(io.RawIOBase):
    """A file that ends with an error where it would go beyond ``most`` bytes."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = most

    def read(self, size: int = -1, /) -> bytes:
        self._check(self._file.tell() + max(size, 0))
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check(offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, end: int) -> None:
        if end > self._most:
            raise TooLargeError(f"it unpacks to more than {self._most:,} bytes")
