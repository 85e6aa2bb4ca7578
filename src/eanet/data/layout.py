"""Find the images of a folder: which files are images, which folders are classes or splits."""

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
# Picture formats only; Pillow also registers documents, fonts, films and measurements.
_PICTURES = {
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
}
_NOT_THE_USERS = {"__MACOSX", "@eaDir"}  # added by macOS archives and Synology disks


@dataclass(frozen=True)
class Listing:
    """The files of one split.

    Attributes:
        place: the folder that holds them, or the list that names them.
        images: the image files of each class; the classes are sorted by name.
        others: the files beside them.
    """

    place: Path
    images: dict[str, list[Path]]
    others: list[Path]


@dataclass(frozen=True)
class Layout:
    """The files of a data set.

    Attributes:
        root: the folder that file names are reported relative to.
        splits: keyed by ``train``, ``validation`` and ``test``; ``train`` is always present.
        ignored: folders beside the split folders.
    """

    root: Path
    splits: dict[str, Listing]
    ignored: list[Path]


def read_folder(root: Path) -> Layout:
    """Read a folder laid out as ``<class>/...`` or ``{train,val,test}/<class>/...``.

    Raises:
        EanetError: there are no class folders, or no ``train`` beside other splits.
        OSError: a folder cannot be read.
    """
    folders, ignored = _split_folders(root)
    return Layout(root, {name: _list_split(path) for name, path in folders.items()}, ignored)


def _split_folders(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """Return the folder of each split, and the other folders beside them."""
    folders = visible_folders(root)
    named = [path for path in folders if path.name.lower() in SPLITS]
    # Among other class folders, a "train" without subfolders is a class: the vehicle.
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


def holds_class(root: Path, folder: Path) -> bool:
    """Whether ``folder``, which need not exist, would be read as a class of the images in ``root``.

    Raises:
        EanetError: as in `read_folder`.
    """
    try:
        if not root.is_dir():
            return False
        places = [place.resolve() for place in _split_folders(root)[0].values()]
    except OSError as error:
        raise EanetError(f"cannot read {root} ({error.strerror})") from error
    return any(folder.resolve().is_relative_to(place) for place in places)


def visible_folders(folder: Path) -> list[Path]:
    """Return the subfolders, sorted, without hidden ones and links to the folder or a parent."""
    real = folder.resolve()
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and is_visible(path.name)]
    return [p for p in folders if not (p.is_symlink() and real.is_relative_to(p.resolve()))]


def visible_files(folder: Path) -> list[Path]:
    """Return the files in a folder, sorted, without hidden ones."""
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
    """Return the extensions of image files, in lower case, such as ``.jpg``."""
    Image.init()
    with suppress(ImportError):  # optional: reads iPhone photographs
        import_module("pillow_heif").register_heif_opener()
    return frozenset(_PICTURES & set(Image.registered_extensions()))


def list_images(folder: Path) -> list[Path]:
    """Return all image files in ``folder`` and below, sorted; hidden ones are left out.

    Raises:
        EanetError: ``folder``, or a folder in it, cannot be read.
    """
    return [file for file in _list_files(folder) if is_image(file)]


def _list_files(folder: Path) -> list[Path]:
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


def is_image(file: Path) -> bool:
    """Return whether the file has the extension of an image."""
    return file.suffix.lower() in image_extensions()


def is_visible(name: str) -> bool:
    """Return whether a file or folder of this name holds the user's data."""
    return not name.startswith(".") and name not in _NOT_THE_USERS
