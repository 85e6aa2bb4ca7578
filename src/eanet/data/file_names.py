"""Classes in the names of the images themselves, such as ``cat.7.jpg``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from eanet.data.folder_splits import Places
from eanet.data.layout import Layout, Listing, is_image, list_files
from eanet.errors import EanetError
from eanet.files import readable
from eanet.text import some

_NUMBER = re.compile(r"[\s._-]*(\d+|\(\d+\))$")
LEAST = 2  # images of a name, for it to look like a class


def class_in(file: Path) -> str:
    """Return the name of a file without its extension and the number at its end."""
    return readable(_NUMBER.sub("", file.stem))


def read_names(root: Path, places: Places) -> Layout:
    """Read images by the classes in their names; those named by numbers alone have none.

    Raises:
        EanetError: no image for training has a class.
    """
    splits, notes = {}, [*places.notes]
    for split, place in places.splits.items():
        images: dict[str, list[Path]] = {}
        others = []
        for file in list_files(place):
            if is_image(file) and (name := class_in(file)):
                images.setdefault(name, []).append(file)
            else:
                others.append(file)
        if images:
            splits[split] = Listing(place, images, others)
        elif split == "train":
            raise EanetError(
                f"no image in {place} has a class in its name, such as cat.7.jpg; "
                "--layout auto reads folders of classes"
            )
        else:
            notes.append(f"the images in {place.name} have no classes in their names: left out")
    return Layout(root, splits, tuple(notes))


def likely_names(files: Iterable[Path]) -> list[str]:
    """Return the classes in the names of images and how many each has, if there are several."""
    counts = Counter(class_in(file) for file in files if is_image(file))
    likely = [f"{name} {count:,}" for name, count in counts.items() if name and count >= LEAST]
    return likely if len(likely) > 1 else []


def names_hint(files: Iterable[Path]) -> str:
    """Return what may be said of images that lie in no class folder: that their names have one."""
    if not (likely := likely_names(files)):
        return ""
    return f"; if classes are in the names of the images ({some(likely)}), use --layout filenames"
