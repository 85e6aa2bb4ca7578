"""The data sets that have a name, and the one way to load a data set by name or folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from eanet.data.cifar import load_cifar10, load_cifar100
from eanet.data.digits import load_digits
from eanet.data.folder import load_folder
from eanet.data.splits import DataOptions, Dataset, SourceSplits, complete_splits
from eanet.errors import EanetError, unknown_name

__all__ = ["DataOptions", "DataSource", "load_dataset", "sources"]


@dataclass(frozen=True)
class DataSource:
    """A data set with a name: what it is in one line, and how it is loaded."""

    name: str
    summary: str
    load: Callable[[DataOptions], SourceSplits]


_SOURCES = (
    DataSource("digits", "1,797 handwritten digits, 8 x 8, ships with scikit-learn", load_digits),
    DataSource("cifar10", "60,000 photographs, 32 x 32, 10 classes, 163 MB", load_cifar10),
    DataSource("cifar100", "60,000 photographs, 32 x 32, 100 classes, 161 MB", load_cifar100),
)


def sources() -> tuple[DataSource, ...]:
    """Every data set that has a name."""
    return _SOURCES


def load_dataset(data: str | Path, options: DataOptions = DataOptions()) -> Dataset:  # noqa: B008
    """Load a data set with all its splits, at ``options.image_size``.

    Args:
        data: a name in ``sources()``, or a folder of class folders. A name wins over a folder of
            the same name; write ``./digits`` for the folder.
        options: see ``DataOptions``.

    Raises:
        EanetError: neither a name nor a folder, or the images cannot be loaded.
    """
    by_name = {source.name: source for source in _SOURCES}
    text = str(data)
    if text in by_name:
        name, splits = text, by_name[text].load(options)
    else:
        folder = _folder(text)
        name, splits = folder.resolve().name, load_folder(folder, options)
    dataset = complete_splits(name, splits, options)
    if options.image_size is None:
        return dataset
    return replace(
        dataset,
        train=dataset.train.resized(options.image_size),
        validation=None
        if dataset.validation is None
        else dataset.validation.resized(options.image_size),
        test=dataset.test.resized(options.image_size),
    )


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        return path
    names = [source.name for source in _SOURCES]
    if path.exists():
        raise EanetError(
            f"{text} is a file; give a folder of class folders or one of {', '.join(names)} "
            "(a CIFAR archive is given with --data-dir)"
        )
    if os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such folder: {text}")
    raise EanetError(f"{unknown_name('data set', text, names)}, and no such folder exists")
