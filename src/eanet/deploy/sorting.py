"""Sort copies of images into one folder per class."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from eanet.errors import EanetError
from eanet.unfinished import alone, unfinished


def originals(images: Sequence[Path], folder: Path) -> list[Path]:
    """Return the images outside ``folder``, since those in it are copies made before.

    Raises:
        EanetError: there are none.
    """
    real = folder.resolve()
    outside = [image for image in images if not image.parent.resolve().is_relative_to(real)]
    if images and not outside:
        raise EanetError(f"all images are in {folder}: copy them to another folder")
    return outside


def copy_into(folder: Path, name: str, image: Path) -> Path:
    """Copy an image into ``folder/name`` and return the path of the copy.

    The original stays. If the file name is taken by another file, ``-2`` and so on is added to the
    stem; if it is taken by a copy of the same image, that copy stays.

    Args:
        folder: the parent of the class folders.
        name: the class; characters that are not allowed in folder names become ``_``.
        image: the file; links are followed.

    Raises:
        EanetError: the image cannot be read, or the copy cannot be written.
    """
    plain = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip(". ") or "_"
    # UTF-8 in any locale: some, such as C, have no letters but ASCII for names of files.
    place = folder / os.fsdecode(plain.encode(errors="backslashreplace"))
    try:
        place.mkdir(parents=True, exist_ok=True)
        target, is_there = _find_copy(image, place)
        return target if is_there else _copy(image, place)
    except OSError as error:
        raise EanetError(f"cannot copy {image} to {place}: {error.strerror}") from error


def has_other_copy(image: Path, copy: Path) -> bool:
    """Whether an image whose copy is ``copy`` lies in the folder of another class there as well.

    Equal images have equal answers, so another model or threshold has put it there, or a person.
    """
    own = (copy.parent.resolve(), image.parent.resolve())
    try:
        others = [place for place in copy.parent.parent.iterdir() if place.is_dir()]
        return any(_find_copy(image, place)[1] for place in others if place.resolve() not in own)
    except OSError:  # a folder that cannot be read is none of the answers'
        return False


def _find_copy(image: Path, place: Path) -> tuple[Path, bool]:
    """Return where the copy of an image is in a folder, or would be made, and whether it is."""
    target, number = place / image.name, 1
    while os.path.lexists(target):
        if target.is_file() and filecmp.cmp(image, target, shallow=False):
            return target, True
        number += 1
        target = place / f"{image.stem}-{number}{image.suffix}"
    return target, False


def _copy(image: Path, place: Path) -> Path:
    """Copy an image, which appears as a whole, and return the path of the copy."""
    with unfinished(place / image.name) as partial:
        with image.open("rb") as source, partial.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        with alone(place):  # other processes may copy images of the same name
            target, is_there = _find_copy(image, place)
            if not is_there:
                partial.replace(target)
    shutil.copystat(image, target)
    return target
