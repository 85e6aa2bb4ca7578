"""Find the images that command-line arguments refer to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from glob import glob
from pathlib import Path

from eanet.data.archive import is_archive, unpack
from eanet.data.layout import list_images
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import user_path


def find_images(arguments: Sequence[str], listing: Iterable[str] = ()) -> list[Path]:
    """Return the image files that command-line arguments refer to.

    Args:
        arguments: files, folders (all images below them), archives (unpacked into the cache),
            patterns such as ``photos/*.jpg``, and ``-`` for ``listing``.
        listing: one path per line.

    Raises:
        EanetError: a path does not exist, or a folder or archive has no image.
    """
    images: list[Path] = []
    for argument in arguments:
        path = user_path(argument)
        if not argument:
            raise WrongArgumentError("the name of an image is empty")  # as a path: this folder
        if argument == "-":
            names = (line.rstrip("\r\n") for line in listing)
            images += [Path(name) for name in names if name]
        elif os.path.lexists(path):  # a broken link is reported when it is read
            images += _images_at(path)
        elif matches := sorted(glob(str(path), recursive=True)):  # noqa: PTH207 (any root)
            images += [image for match in matches for image in _images_at(Path(match))]
        else:
            raise EanetError(f"no such image or folder: {argument}")
    return images


def _images_at(path: Path) -> list[Path]:
    if not (path.is_dir() or is_archive(path)):
        return [path]
    inside = list_images(path if path.is_dir() else unpack(path))
    if not inside:
        raise EanetError(f"no image in {path}")
    return inside
