"""Find the images that command-line arguments refer to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path

from eanet.data.archive import is_archive, unpack
from eanet.data.formats import missing_plugin
from eanet.data.layout import is_image, list_files
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import user_path

FEW = 100  # files looked at to say why there is no image


def find_images(arguments: Sequence[str], listing: Iterable[str] = ()) -> list[Path]:
    """Return the image files that command-line arguments refer to.

    Args:
        arguments: files, folders (all images below them), archives (unpacked into the cache),
            patterns such as ``photos/*.jpg``, and ``-`` for ``listing``.
        listing: one path per line.

    Raises:
        EanetError: a path does not exist, a folder or archive has no image, or the listing is none.
    """
    images: list[Path] = []
    for argument in arguments:
        path = user_path(argument)
        if not argument:
            raise WrongArgumentError("the name of an image is empty")  # as a path: this folder
        if argument == "-":
            images += _listed(listing)
        elif os.path.lexists(path):  # a broken link is reported when it is read
            images += _images_at(path)
        elif matches := sorted(glob(str(path), recursive=True)):  # noqa: PTH207 (any root)
            images += [image for match in matches for image in _images_at(Path(match))]
        else:
            raise EanetError(f"no such image or folder: {argument}")
    return images


def _listed(listing: Iterable[str]) -> Iterator[Path]:
    for line in listing:
        if "\0" in line:  # which no path has
            raise WrongArgumentError(
                "- stands for a list of paths on standard input, one per line, and not for an "
                "image: name the file of the image, or write it into one first"
            )
        if name := line.rstrip("\r\n"):
            yield Path(name)


def _images_at(path: Path) -> list[Path]:
    if not (path.is_dir() or is_archive(path)):
        return [path]
    files = list_files(path if path.is_dir() else unpack(path))
    inside = [file for file in files if is_image(file)]
    if not inside:
        hint = next(filter(None, map(missing_plugin, files[:FEW])), None)
        raise EanetError(f"no image in {path}" + (f"; {hint}" if hint else ""))
    return inside
