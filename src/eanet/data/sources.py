"""The named data sets, and loading of any data set by name or path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eanet.config import DataSettings
from eanet.data.archive import ARCHIVES, archive_stem, is_archive
from eanet.data.cifar import load_cifar10, load_cifar100
from eanet.data.digits import load_digits
from eanet.data.filelist import is_list
from eanet.data.image_files import DEFAULT_SIZE, load_image_files
from eanet.data.layout import LISTS, holds_class
from eanet.data.splits import Dataset, SourceSplits, complete_splits
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import readable, user_path

__all__ = [
    "DataSource",
    "check_outside",
    "data_name",
    "load_dataset",
    "load_source",
    "locate",
    "natural_size",
    "own_images",
    "sources",
]


@dataclass(frozen=True)
class DataSource:
    """A named data set: a one-line summary, its side in pixels, and its loader."""

    name: str
    summary: str
    size: int
    load: Callable[[DataSettings], SourceSplits]


_SOURCES = {
    source.name: source
    for source in (
        DataSource(
            "digits", "1,797 handwritten digits, 8 x 8, ships with scikit-learn", 8, load_digits
        ),
        DataSource("cifar10", "60,000 photographs, 32 x 32, 10 classes, 163 MB", 32, load_cifar10),
        DataSource(
            "cifar100", "60,000 photographs, 32 x 32, 100 classes, 161 MB", 32, load_cifar100
        ),
    )
}


def sources() -> tuple[DataSource, ...]:
    """Return all named data sets."""
    return tuple(_SOURCES.values())


def load_dataset(data: str | Path, settings: DataSettings = DataSettings()) -> Dataset:  # noqa: B008
    """Load a data set with all its splits, at ``settings.image_size`` pixels.

    Args:
        data: a name in ``sources()``; or a folder of class folders, a list of images (CSV, TSV or
            Parquet with the columns ``path``, ``label`` and optionally ``split``), or an archive
            (zip, tar) of either. A name takes precedence over a folder of the same name; write
            ``./digits`` for the folder.
        settings: its side in pixels, its folder and its splits.

    Raises:
        EanetError: there is no such data set, or the images cannot be loaded.
    """
    return complete_splits(*load_source(data, settings), settings)


def load_source(data: str | Path, settings: DataSettings) -> tuple[str, SourceSplits]:
    """Return the name of a data set and the splits it provides; arguments as in `load_dataset`."""
    text = str(data)
    if text in _SOURCES:
        name, splits = text, _SOURCES[text].load(settings)
    else:
        name, splits = data_name(text), load_image_files(own_images(text), settings)
    return name, splits.resized(settings.image_size)


def natural_size(data: str | Path) -> int:
    """Return the side in pixels at which a data set is loaded by default."""
    source = _SOURCES.get(str(data))
    return DEFAULT_SIZE if source is None else source.size


def data_name(data: str | Path) -> str:
    """Return a data set's name; of a list or archive, its file name without extension."""
    text = str(data)
    if text in _SOURCES:
        return text
    path = _absolute(user_path(text))
    if is_archive(path):
        return readable(archive_stem(path))
    return readable(path.stem if is_list(path) else path.name)


def locate(data: str | Path) -> str:
    """Make an existing path absolute, so that it is valid anywhere; leave names as they are."""
    path, text = _path(data), str(data)
    return text if text in _SOURCES or not path.exists() else str(_absolute(path))


def _absolute(path: Path) -> Path:
    """Resolve links, except of a file itself: its name and place say how to read it."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def check_outside(folder: Path, data: str | Path) -> None:
    """Raise before results are written where they would become a class of the images.

    Raises:
        EanetError: ``folder`` is or would be among the class folders of ``data``.
    """
    if str(data) not in _SOURCES and holds_class(_path(data), folder):
        raise EanetError(
            f"results in {folder} would become a class of the images in {data}: name a folder "
            "elsewhere with --output, such as --output ~/runs"
        )


def own_images(data: str | Path) -> Path:
    """Return the path of the user's own images: a folder, list or archive.

    Raises:
        EanetError: it is none of these, or does not exist.
    """
    path, text = _path(data), str(data)
    if path.is_dir() or is_list(path) or is_archive(path):
        return path
    if path.exists():
        raise EanetError(
            f"{text} is neither a folder, a list ({' '.join(LISTS)}), an archive "
            f"({' '.join(ARCHIVES)}) nor one of {', '.join(_SOURCES)}"
        )
    if os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such file or folder: {text}")
    unknown = unknown_name("data set", text, _SOURCES)
    raise WrongArgumentError(f"no such file or folder, and {unknown}")


def _path(data: str | Path) -> Path:
    if not str(data):
        raise WrongArgumentError("the name of the data set is empty")  # as a path: this folder
    return user_path(data)
