"""Copies of images, sorted into a folder for each class."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from pathlib import Path

from eanet.errors import EanetError


def copy_into(folder: Path, name: str, image: Path) -> Path:
    """Copy an image into ``folder/name``, and say where it is.

    The original stays. Where the name is taken by another file, the copy is called ``-2`` and so
    on; where it is taken by a copy of the same image, that one is left as it is.

    Args:
        folder: where the folders of the classes are.
        name: of a class; what a folder cannot be called becomes ``_``.
        image: the file; behind a link, what that points to.

    Raises:
        EanetError: it cannot be read, or the copy not be written.
    """
    place = folder / (re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip(". ") or "_")
    try:
        place.mkdir(parents=True, exist_ok=True)
        target, number = place / image.name, 1
        while os.path.lexists(target):
            if target.is_file() and filecmp.cmp(image, target, shallow=False):
                return target
            number += 1
            target = place / f"{image.stem}-{number}{image.suffix}"
        _copy(image, target)
        return target
    except OSError as error:
        raise EanetError(f"cannot copy {image} to {place}: {error.strerror}") from error


def _copy(image: Path, target: Path) -> None:
    with image.open("rb") as source, target.open("xb") as copy:
        try:
            shutil.copyfileobj(source, copy)
        except BaseException:
            target.unlink()
            raise
    shutil.copystat(image, target)
