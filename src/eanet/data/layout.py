"""The layout of a data set in files, and what in a folder belongs to the user's images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from eanet.data.findings import Finding
from eanet.data.formats import image_extensions
from eanet.errors import EanetError

LISTS = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")
_NOT_THE_USERS = {"__MACOSX", "@eaDir"}  # added by macOS archives and Synology disks


@dataclass(frozen=True)
class Listing:
    """The files of one split.

    Attributes:
        place: the folder that holds them, or the list that names them.
        images: the image files of each class.
        others: the files beside them.
        groups: what a file belongs together with others by, if a list says so.
    """

    place: Path
    images: dict[str, list[Path]]
    others: list[Path]
    groups: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The files of a data set.

    Attributes:
        root: the folder that file names are reported relative to.
        splits: keyed by ``train``, ``validation`` and ``test``; ``train`` is always present. Their
            classes are sorted: by value if all are numbers, else by name.
        notes: what was left out or read in another way than written, in one line each.
        findings: what could have been read in another way, or looks wrong.
    """

    root: Path
    splits: dict[str, Listing]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def visible_folders(folder: Path) -> list[Path]:
    """Return the subfolders, sorted, without hidden ones and links to the folder or a parent."""
    real = folder.resolve()
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and is_visible(path.name)]
    return [p for p in folders if not (p.is_symlink() and real.is_relative_to(p.resolve()))]


def visible_files(folder: Path) -> list[Path]:
    """Return the files in a folder, sorted, without hidden ones."""
    return [p for p in sorted(folder.iterdir()) if not p.is_dir() and is_visible(p.name)]


def list_images(folder: Path) -> list[Path]:
    """Return all image files in ``folder`` and below, sorted; hidden ones are left out.

    Raises:
        EanetError: ``folder``, or a folder in it, cannot be read.
    """
    return [file for file in list_files(folder) if is_image(file)]


def list_files(folder: Path) -> list[Path]:
    """Return the visible files in ``folder`` and below, sorted.

    Links are followed, but no folder is entered twice, and no parent of ``folder`` is entered.
    """
    start = folder.resolve()
    entered = {start, *start.parents}
    files: list[Path] = []
    links: list[Path] = []
    pending = [(folder, start)]
    while pending or links:
        if not pending:  # links last, so that a file is listed by its real path
            link = links.pop()
            if (target := link.resolve()) in entered:
                continue
            entered.add(target)
            pending.append((link, target))
        parent, real = pending.pop()
        try:
            with os.scandir(parent) as entries:
                visible = [entry for entry in entries if is_visible(entry.name)]
        except OSError as error:
            raise EanetError(f"cannot read the folder {parent}: {error.strerror}") from error
        for entry in visible:
            path = parent / entry.name
            if entry.is_symlink():
                if path.is_dir():
                    links.append(path)
                elif path.is_file() or not path.exists():  # a broken link is reported when read
                    files.append(path)
            elif entry.is_dir():
                if (target := real / entry.name) not in entered:
                    entered.add(target)
                    pending.append((path, target))
            elif entry.is_file():  # a pipe or a device would block
                files.append(path)
    return sorted(files)


def relative(file: Path, root: Path) -> Path:
    """Return the path of a file relative to a folder; unchanged if it lies elsewhere."""
    return file.relative_to(root) if file.is_relative_to(root) else file


def is_image(file: Path) -> bool:
    """Return whether the file has the extension of an image."""
    return file.suffix.lower() in image_extensions()


def is_visible(name: str) -> bool:
    """Return whether a file or folder of this name holds the user's data."""
    return not name.startswith(".") and name not in _NOT_THE_USERS
