"""Where the images of a folder lie: which files are images, which folders classes or splits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from eanet.errors import EanetError

_SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
# Formats of pictures; Pillow also knows documents, fonts, films and measurements. A plugin, such
# as pillow-heif for .heic, counts once it is registered.
_PICTURES = {
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
}


@dataclass(frozen=True)
class Listing:
    """The files of one split: image files by class, and all others."""

    folder: Path
    images: dict[str, list[Path]]
    others: list[Path]


def split_folders(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """The folder of each split, and the folders beside them that are none."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and _is_visible(path.name)]
    named = [path for path in folders if path.name.lower() in _SPLITS]
    # Among other class folders, a "train" without folders in it is a class: trains do exist.
    if not named or (len(named) < len(folders) and not any(map(_has_folders, named))):
        return {"train": root}, []
    splits: dict[str, Path] = {}
    for path in named:
        split = _SPLITS[path.name.lower()]
        if split in splits:
            raise EanetError(f"{splits[split]} and {path} are both {split} images: keep one")
        splits[split] = path
    if "train" not in splits:
        raise EanetError(
            f"{root} has the split folder {named[0].name} but no train: put the training images in "
            f"{root / 'train'}/<class>/"
        )
    return splits, [path for path in folders if path not in named]


def _has_folders(folder: Path) -> bool:
    return any(path.is_dir() and _is_visible(path.name) for path in folder.iterdir())


def list_split(folder: Path) -> Listing:
    """The files below the class folders of one split; the classes are sorted by name."""
    images: dict[str, list[Path]] = {}
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        if not _is_visible(path.name):
            continue
        if path.is_dir():
            files = _list_files(path)
            images[path.name] = [file for file in files if is_image(file)]
            others += [file for file in files if not is_image(file)]
        else:
            others.append(path)
    if not images:
        raise EanetError(
            f"no class folders in {folder}: put the images of each class in a folder of its name"
        )
    return Listing(folder, images, others)


@cache
def image_extensions() -> frozenset[str]:
    """The extensions of files taken for images, in lower case, such as ``.jpg``."""
    Image.init()
    return frozenset(_PICTURES & set(Image.registered_extensions()))


def list_images(folder: Path) -> list[Path]:
    """Every image file in ``folder`` and below, sorted; hidden ones and ``__MACOSX`` are left out.

    Raises:
        EanetError: ``folder``, or a folder in it, cannot be read.
    """
    return [file for file in _list_files(folder) if is_image(file)]


def _list_files(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise EanetError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    files = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if _is_visible(name)]
        files += [Path(parent, name) for name in names if _is_visible(name)]
    return sorted(files)


def is_image(file: Path) -> bool:
    """Whether the name of the file is that of an image."""
    return file.suffix.lower() in image_extensions()


def _is_visible(name: str) -> bool:
    """Whether a file or folder of this name holds data of the user's."""
    return not name.startswith(".") and name != "__MACOSX"
