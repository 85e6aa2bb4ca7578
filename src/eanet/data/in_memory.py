"""Data in memory, of whatever library, as labelled images one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eanet.console import notice
from eanet.data.arrays import as_array, is_array
from eanet.data.list_rows import Header, is_mark, marked
from eanet.data.split_names import SPLITS, splits_meant
from eanet.data.splits import Dataset
from eanet.errors import EanetError, WrongArgumentError

TAKEN = (
    "the name of a data set, a path, or in memory: (images, labels), a DataFrame with the columns "
    "path and label, a datasets.Dataset, a torch Dataset with a length, or a dictionary of these "
    "by split"
)


OWN = ("path", "label")  # columns of the list that is written


class Row(NamedTuple):
    """An image with its class, and other columns, by which images may belong together.

    The image is a path, a Pillow image, an array or, from the datasets library, its file.
    """

    image: Any
    label: str
    others: Mapping[str, str] = {}


class Rows(NamedTuple):
    """The rows of one split, or of several if they name it themselves.

    Attributes:
        name: what to call the data; empty: they have no name.
        number: of rows.
        rows: the rows, in order.
    """

    name: str
    number: int
    rows: Iterable[Row]


def read_memory(data: Any) -> dict[str, Rows]:
    """Return the labelled images of data in memory by split.

    Raises:
        EanetError: they are nothing of `TAKEN`.
    """
    read = {split: _rows(part, split) for split, part in _splits(data).items()}
    if not any(rows.number for rows in read.values()):
        raise WrongArgumentError("there are no images in the data")
    return read


def _splits(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        if not data:
            raise WrongArgumentError(f"there are no data in {data!r}; data are {TAKEN}")
        return data
    if isinstance(data, Dataset):
        return data.sets
    is_loaded = isinstance(data, tuple) and len(data) in (2, 3)
    if is_loaded and all(isinstance(part, tuple) and len(part) == 2 for part in data):
        return dict(zip(SPLITS if len(data) == 3 else SPLITS[::2], data, strict=True))
    return {"train": data}


def _rows(data: Any, split: str) -> Rows:
    """Return the rows of one split."""
    if isinstance(data, tuple) and len(data) == 2:
        return _of_pair(*data, split)
    is_hugging_face = hasattr(data, "features") and hasattr(data, "cast_column")
    if is_hugging_face and hasattr(data, "__len__"):  # which one that is streamed has not
        return _of_hugging_face(data, split)
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        return _of_table(data)
    is_listed = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if is_listed and not isinstance(data, str | bytes | dict) and not is_array(data):
        return _of_pairs(data, split)
    raise WrongArgumentError(f"data are {TAKEN}; not {type(data).__name__}")


def _of_pair(images: Any, labels: Any, split: str) -> Rows:
    if isinstance(images, str | bytes) or not (hasattr(images, "__len__") and _listed(labels)):
        kinds = f"({type(images).__name__}, {type(labels).__name__})"
        raise WrongArgumentError(f"data are {TAKEN}; not {kinds}")
    if len(images) != len(labels):
        raise EanetError(f"{len(images):,} images and {len(labels):,} labels do not fit each other")
    name_of = _naming((), split)
    rows = (
        Row(image, name_of(place, label))
        for place, (image, label) in enumerate(zip(images, labels, strict=True))
    )
    return Rows("", len(images), rows)


def _listed(labels: Any) -> bool:
    return hasattr(labels, "__len__") and not isinstance(labels, str | bytes)


def _of_pairs(data: Sequence[tuple[Any, Any]], split: str) -> Rows:
    """Read a map-style dataset of PyTorch, or a list of the same."""
    name_of = _naming(_classes(data), split)

    def rows() -> Iterator[Row]:
        for place in range(len(data)):
            pair = data[place]
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                kind = type(pair).__name__
                raise WrongArgumentError(f"a data set yields pairs (image, label), not {kind}")
            yield Row(pair[0], name_of(place, pair[1]))

    is_plain = isinstance(data, list | tuple)
    return Rows("" if is_plain else _innermost(data).__class__.__name__.lower(), len(data), rows())


def _innermost(data: Any) -> Any:
    """Return the data set that subsets are of."""
    while hasattr(data, "dataset"):
        data = data.dataset
    return data


def _classes(data: Any) -> Sequence[str]:
    """Return the names that torchvision's data sets and subsets of them have for their classes."""
    classes = getattr(_innermost(data), "classes", ())
    return classes if isinstance(classes, list | tuple) else ()


def _of_table(table: Any) -> Rows:
    """Read a DataFrame with the columns that a list of images has."""
    header = Header([str(name) for name in table.columns])
    columns = {str(name): list(table[name]) for name in table.columns}
    marks = {name: columns[header.name(column)] for column, name in header.marks.items()}
    if header.missing and not (marks and all(map(is_mark, _at(marks, 0).values()))):
        raise EanetError(
            f"the DataFrame has no column {header.missing[0]!r}; its columns are "
            f"{', '.join(columns)}"
        )
    path = columns.pop(header.name("path"))
    if marks:
        label = [marked(f"row {row} of the DataFrame", _at(marks, row)) for row in range(len(path))]
        columns = {name: cells for name, cells in columns.items() if name.strip() not in marks}
    else:
        label = columns.pop(header.name("label"))
    if "split" in header.columns:
        columns = {"split": columns.pop(header.name("split")), **columns}
    elif "maybe split" in header.columns:
        name = header.name("maybe split")
        if splits := splits_meant(map(str, columns[name])):
            notice(f"splits in the DataFrame are in its column {name}")
            columns = {"split": splits, **columns}
    name_of = _naming((), "")
    rows = (
        Row(
            image,
            name_of(place, label[place]),
            {name: _cell(cells[place]) for name, cells in columns.items() if name not in OWN},
        )
        for place, image in enumerate(path)
    )
    return Rows("", len(path), rows)


def _at(columns: Mapping[str, Sequence[Any]], row: int) -> dict[str, str]:
    """Return the cells of a row as texts; none if there is no such row."""
    return {name: str(cells[row]) for name, cells in columns.items() if row < len(cells)}


def _of_hugging_face(data: Any, split: str) -> Rows:
    """Read a `datasets.Dataset` with a column of images and one of classes."""
    kinds = {name: type(feature).__name__ for name, feature in data.features.items()}
    images = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if not labels and "label" in (header := Header(list(kinds))).columns:
        labels = [header.name("label")]
    if not images or not labels:
        what = "images" if not images else "classes"
        columns = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise EanetError(f"the data set has no column of {what}; its columns are {columns}")
    image, label = images[0], labels[0]
    names = getattr(data.features[label], "names", ())
    files = data.with_format(None).cast_column(image, type(data.features[image])(decode=False))
    name_of = _naming(names, split)
    own = (label, "split", *OWN)
    plain = [name for name, kind in kinds.items() if kind == "Value" and name not in own]
    rows = (
        Row(row[image], name_of(place, row[label]), {name: _cell(row[name]) for name in plain})
        for place, row in enumerate(files)
    )
    name = getattr(getattr(data, "info", None), "dataset_name", None) or ""
    return Rows(name, len(data), rows)


def _naming(classes: Sequence[str], split: str) -> Callable[[int, Any], str]:
    """Return a function that names the class of the image at a place, from its label."""

    def name_of(place: int, label: Any) -> str:
        where = f"the label of image {place}" + (f" ({split})" if split else "")
        value = _single(label, where)
        if isinstance(value, bytes):  # as HDF5 and NumPy's arrays "S" have texts
            value = value.decode(errors="backslashreplace")  # keeps those of other codes apart
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number and classes:
            if not 0 <= value < len(classes):
                raise EanetError(f"{where} is {value}, but there are {len(classes)} classes")
            value = classes[value]
        if _is_missing(value) or not str(value).strip():
            raise EanetError(f"{where} is missing")
        return str(value)

    return name_of


def _cell(value: Any) -> str:
    """Return what a list says for the value of another column: nothing if it is missing."""
    return "" if _is_missing(value) else str(value)


def _is_missing(value: Any) -> bool:
    """Whether there is no value: None, NaN or NaT, which differ from themselves, or pandas' NA."""
    pandas = sys.modules.get("pandas")  # takes long to import
    if value is None or (pandas is not None and value is pandas.NA):
        return True
    differs = value != value  # an array if the value is one
    return isinstance(differs, bool | np.bool_) and bool(differs)


def _single(label: Any, where: str) -> Any:
    """Return what a label says; of a row with a 1 among zeros, its place."""
    if _is_missing(label):
        return None
    if isinstance(label, str | int):
        return label
    array = as_array(label)
    if array.size == 1:
        return array.reshape(()).item()
    is_one_hot = array.ndim == 1 and array.dtype.kind in "buif" and np.count_nonzero(array) == 1
    if not is_one_hot or array.max() != 1:
        raise EanetError(f"{where} is {label!r}: give a number, a name or a row with a single 1")
    return int(array.argmax())
