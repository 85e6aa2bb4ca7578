"""Where the images of a folder lie: which files are images, which folders classes or splits."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from PIL import Image

from eanet.errors import EanetError
from eanet.files import readable

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
LISTS = (".csv", ".tsv", ".parquet")
# Formats of pictures; Pillow also knows documents, fonts, films and measurements.
_PICTURES = {
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
}
_NOT_THE_USERS = {"__MACOSX", "@eaDir"}  # what archives of macOS and disks of Synology add


@dataclass(frozen=True)
class Listing:
    """The files of one split.

    Attributes:
        place: the folder that holds them, or the list that names them.
        images: the image files of each class; the classes are sorted by name.
        others: what lies beside them.
    """

    place: Path
    images: dict[str, list[Path]]
    others: list[Path]


@dataclass(frozen=True)
class Layout:
    """Where the images of a data set lie.

    Attributes:
        root: the folder that names of files are told from.
        splits: by ``train``, ``validation`` and ``test``; the first is always there.
        ignored: folders beside those of the splits.
    """

    root: Path
    splits: dict[str, Listing]
    ignored: list[Path]


def read_folder(root: Path) -> Layout:
    """The layout ``<class>/...`` or ``{train,val,test}/<class>/...`` of a folder.

    Raises:
        EanetError: there are no class folders, or no ``train`` beside other splits.
        OSError: a folder cannot be read.
    """
    folders, ignored = _split_folders(root)
    return Layout(root, {name: _list_split(path) for name, path in folders.items()}, ignored)


def _split_folders(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """The folder of each split, and the folders beside them that are none."""
    folders = visible_folders(root)
    named = [path for path in folders if path.name.lower() in SPLITS]
    # Among other class folders, a "train" without folders in it is a class: trains do exist.
    if not named or (len(named) < len(folders) and not any(map(visible_folders, named))):
        return {"train": root}, []
    splits: dict[str, Path] = {}
    for path in named:
        split = SPLITS[path.name.lower()]
        if split in splits:
            raise EanetError(f"{splits[split]} and {path} are both {split} images: keep one")
        splits[split] = path
    if "train" not in splits:
        raise EanetError(
            f"{root} has the split folder {named[0].name} but no train: put the training images in "
            f"{root / 'train'}/<class>/"
        )
    return splits, [path for path in folders if path not in named]


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones and links that lead back up."""
    real = folder.resolve()
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() and is_visible(path.name)]
    return [p for p in found if not (p.is_symlink() and real.is_relative_to(p.resolve()))]


def visible_files(folder: Path) -> list[Path]:
    """The files in a folder, sorted, without hidden ones."""
    return [p for p in sorted(folder.iterdir()) if not p.is_dir() and is_visible(p.name)]


def _list_split(folder: Path) -> Listing:
    images: dict[str, list[Path]] = {}
    others = visible_files(folder)
    for path in visible_folders(folder):
        files = _list_files(path)
        images[readable(path.name)] = [file for file in files if is_image(file)]
        others += [file for file in files if not is_image(file)]
    if not images:
        raise EanetError(
            f"no class folders in {folder}: put the images of each class in a folder of its name, "
            "or name a list (.csv) with the columns path and label"
        )
    return Listing(folder, images, others)


@cache
def image_extensions() -> frozenset[str]:
    """The extensions of files taken for images, in lower case, such as ``.jpg``."""
    Image.init()
    with suppress(ImportError):  # where it is installed, photographs of iPhones are read
        import_module("pillow_heif").register_heif_opener()
    return frozenset(_PICTURES & set(Image.registered_extensions()))


def list_images(folder: Path) -> list[Path]:
    """Every image file in ``folder`` and below, sorted; hidden ones are left out.

    Raises:
        EanetError: ``folder``, or a folder in it, cannot be read.
    """
    return [file for file in _list_files(folder) if is_image(file)]


def _list_files(folder: Path) -> list[Path]:
    """The visible files in ``folder`` and below, sorted.

    Links are followed, but no folder is entered twice, nor one that holds ``folder``.
    """
    start = folder.resolve()
    entered = {start, *start.parents}
    files: list[Path] = []
    links: list[Path] = []
    pending = [(folder, start)]
    while pending or links:
        if not pending:  # links last, so that a file is listed where it lies
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
                elif path.is_file() or not path.exists():  # a broken one is reported when read
                    files.append(path)
            elif entry.is_dir():
                if (target := real / entry.name) not in entered:
                    entered.add(target)
                    pending.append((path, target))
            elif entry.is_file():  # a pipe or a device would block
                files.append(path)
    return sorted(files)


def is_image(file: Path) -> bool:
    """Whether the name of the file is that of an image."""
    return file.suffix.lower() in image_extensions()


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name holds data of the user's."""
    return not name.startswith(".") and name not in _NOT_THE_USERS
