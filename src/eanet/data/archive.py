"""Unpack archives into the cache: only once, and only images and lists of images."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from rich.progress import DownloadColumn

from eanet.console import progress_bar
from eanet.data.cache import Details, cached, fingerprint
from eanet.data.formats import readable_formats
from eanet.data.layout import LISTS, is_image, is_visible
from eanet.data.names_file import USUAL
from eanet.data.tar import DAMAGED, TooLargeError, open_tar
from eanet.errors import EanetError, one_line

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# Images hardly compress: an archive that exceeds both limits is meant to fill the disk.
MOST_BYTES = 1 << 30
MOST_GROWTH = 100

_CHUNK_BYTES = 1 << 20
_LEAST_BYTES = 1 << 12  # that a file takes on a disk, however small it is
_DAMAGED = (
    *(*DAMAGED, OSError, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError),  # unknown compression, encryption
)
# What a disk says of names that it cannot have, such as a file inside a file.
_BAD_NAMES = (
    *(None, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    errno.EILSEQ,
)

Member = tuple[str, Callable[[], IO[bytes] | None]]
"""The name of a regular file in an archive, and a function that opens it."""


def is_archive(path: Path) -> bool:
    """Return whether this is a file with the extension of an archive."""
    return path.name.lower().endswith(ARCHIVES) and path.is_file()


def archive_stem(path: Path) -> str:
    """Return the name of an archive without its extension."""
    ending = max((e for e in ARCHIVES if path.name.lower().endswith(e)), key=len)
    return path.name[: -len(ending)]


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Unpack an archive into the cache and yield the folder that holds its files.

    Errors raised in the block name the archive instead of that folder.

    Raises:
        EanetError: it cannot be read, holds no image, has paths outside it or is too large.
    """
    folder = unpack(archive)
    try:
        yield folder
    except EanetError as error:
        error.args = (str(error).replace(str(folder), str(archive)),)
        raise


def unpack(archive: Path) -> Path:
    """Unpack as `unpacked` and return the folder, but leave errors as they are."""

    def build(folder: Path) -> Details:
        try:
            _extract(archive, folder / "files")
        except TooLargeError as error:
            raise EanetError(
                f"{archive} is refused: it unpacks to more than {MOST_GROWTH} times its size; "
                "unpack it yourself and name the folder"
            ) from error
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno not in _BAD_NAMES:
                raise  # an error of the disk, not of the archive
            reason = getattr(error, "strerror", None) or one_line(error)
            raise EanetError(f"{archive} is damaged or no archive: {reason}") from error
        return {}

    # What is an image, and so unpacked, depends on the formats that are read.
    state = fingerprint([archive], archive.parent, readable_formats())
    return cached(archive, "archive with notes", state, build, lambda entry, _: entry / "files")


def _extract(archive: Path, folder: Path) -> None:
    try:
        file = archive.open("rb")
    except OSError as error:
        raise EanetError(f"cannot read {archive} ({error.strerror})") from error
    size = archive.stat().st_size
    most = left = max(MOST_BYTES, MOST_GROWTH * size)
    written: dict[Path, str] = {}
    with file, progress_bar(DownloadColumn(binary_units=False)) as bar:
        task = bar.add_task(f"unpacking {archive.name}", total=size)
        is_zip = archive.name.lower().endswith(".zip")
        for name, open_member in _zip_members(file) if is_zip else _tar_members(file, most):
            bar.update(task, completed=file.tell())
            target = _target(archive, name, folder)
            source = open_member() if target else None
            if target and source:
                _check_name(archive, name, target, written)
                left -= max(_copy(source, target, left), _LEAST_BYTES)
                written[target] = name
            if left < 0:
                raise TooLargeError
    if not any(map(is_image, written)):
        raise EanetError(
            f"no image in {archive} (an archive of CIFAR is given with --data-dir, and the name "
            "cifar10 or cifar100)"
        )


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0: the writer stores no file type
            if info.filename and not info.is_dir() and kind in (0, stat.S_IFREG):
                yield info.filename, partial(opened.open, info)


def _tar_members(file: BinaryIO, most: int) -> Iterator[Member]:
    with open_tar(file, most) as opened:
        for member in opened:
            if member.isreg():
                yield member.name, partial(opened.extractfile, member)
        # A damaged header ends the loop as the end of the archive does: with blocks of zeros.
        opened.fileobj.seek(opened.offset)
        if opened.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"unexpected data at byte {opened.offset:,}")
        while opened.fileobj.read(_CHUNK_BYTES):
            pass  # to its end, where the checksum is


def _target(archive: Path, name: str, folder: Path) -> Path | None:
    """Return where to extract a member, or None to leave it out."""
    # Some writers on Windows use the wrong separator.
    path = Path(os.path.normpath(folder / name.replace("\\", "/")))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise EanetError(f"{archive} is refused: {name!r} is a path outside it; pack it anew")
    is_wanted = is_image(path) or path.suffix.lower() in LISTS or path.name in USUAL
    return path if is_wanted and all(map(is_visible, path.relative_to(folder).parts)) else None


def _check_name(archive: Path, name: str, target: Path, written: dict[Path, str]) -> None:
    """Raise if a disk that ignores case, or forms of letters, has another member there already."""
    if target in written or not target.is_file():
        return
    if other := next((w for place, w in written.items() if place.samefile(target)), None):
        raise EanetError(
            f"{archive} holds {other!r} and {name!r}, which are one name on this disk: rename one, "
            "and pack it anew"
        )


def _copy(source: IO[bytes], target: Path, most: int) -> int:
    """Copy a member, but not much more than ``most`` bytes; return the bytes copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with source, target.open("wb") as file:
        while count <= most and (chunk := source.read(_CHUNK_BYTES)):
            count += file.write(chunk)
    return count
