"""The data sets that have a name, and the one way to load a data set by name or folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eanet.data.archive import ARCHIVES, archive_stem, is_archive
from eanet.data.cifar import load_cifar10, load_cifar100
from eanet.data.digits import load_digits
from eanet.data.filelist import is_list
from eanet.data.image_files import DEFAULT_SIZE, load_image_files
from eanet.data.layout import LISTS
from eanet.data.splits import DataOptions, Dataset, SourceSplits, complete_splits
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import readable

__all__ = [
    "DataOptions",
    "DataSource",
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
    """A data set with a name: what it is in one line, its pixels a side, how it is loaded."""

    name: str
    summary: str
    size: int
    load: Callable[[DataOptions], SourceSplits]


_SOURCES = (
    DataSource(
        "digits", "1,797 handwritten digits, 8 x 8, ships with scikit-learn", 8, load_digits
    ),
    DataSource("cifar10", "60,000 photographs, 32 x 32, 10 classes, 163 MB", 32, load_cifar10),
    DataSource("cifar100", "60,000 photographs, 32 x 32, 100 classes, 161 MB", 32, load_cifar100),
)


def sources() -> tuple[DataSource, ...]:
    """Every data set that has a name."""
    return _SOURCES


def load_dataset(data: str | Path, options: DataOptions = DataOptions()) -> Dataset:  # noqa: B008
    """Load a data set with all its splits, at ``options.image_size``.

    Args:
        data: a name in ``sources()``; or a folder of class folders, a list of images (CSV, TSV or
            Parquet with the columns ``path``, ``label`` and, if it has it, ``split``), or an
            archive (zip, tar) of either. A name wins over a folder of the same name; write
            ``./digits`` for the folder.
        options: see ``DataOptions``.

    Raises:
        EanetError: there is no such data set, or the images cannot be loaded.
    """
    return complete_splits(*load_source(data, options), options)


def load_source(data: str | Path, options: DataOptions) -> tuple[str, SourceSplits]:
    """The name of a data set and what it has of its own; arguments as those of `load_dataset`."""
    by_name = {source.name: source for source in _SOURCES}
    text = str(data)
    if text in by_name:
        name, splits = text, by_name[text].load(options)
    else:
        name, splits = data_name(text), load_image_files(own_images(text), options)
    return name, splits.resized(options.image_size)


def natural_size(data: str | Path) -> int:
    """The side in pixels that a data set is loaded with where no other is asked for."""
    return next((source.size for source in _SOURCES if source.name == str(data)), DEFAULT_SIZE)


def data_name(data: str | Path) -> str:
    """What a data set is called: its name, or that of its files without their ending."""
    text = str(data)
    path = Path(text).expanduser().resolve()
    if text in {source.name for source in _SOURCES}:
        return text
    if is_archive(path):
        return archive_stem(path)
    return readable(path.stem if is_list(path) else path.name)


def locate(data: str | Path) -> str:
    """``data`` as it can be found again from anywhere: a name as it is, else the whole path."""
    text = str(data)
    if not text:
        raise WrongArgumentError("the name of the data set is empty")  # would be this folder
    path = Path(text).expanduser()
    is_name = text in {source.name for source in _SOURCES}
    return text if is_name or not path.exists() else str(path.resolve())


def own_images(data: str | Path) -> Path:
    """The folder, list or archive of one's own images.

    Raises:
        EanetError: it is none, or not there.
    """
    text = str(data)
    if not text:
        raise WrongArgumentError("the name of the data set is empty")  # would be this folder
    path = Path(text).expanduser()
    if path.is_dir() or is_list(path) or is_archive(path):
        return path
    names = [source.name for source in _SOURCES]
    if path.exists():
        raise EanetError(
            f"{text} is neither a folder, a list ({' '.join(LISTS)}), an archive "
            f"({' '.join(ARCHIVES)}) nor one of {', '.join(names)}"
        )
    if os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such file or folder: {text}")
    unknown = unknown_name("data set", text, names)
    raise WrongArgumentError(f"no such file or folder, and {unknown}")
