"""Read a list of images and their classes: CSV, TSV or Parquet, with a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from eanet.data.layout import LISTS, SPLITS, Layout, Listing
from eanet.errors import EanetError, unknown_name

# Accepted column names; the first one present is used. Case, spaces and underscores are ignored.
_COLUMNS = {
    "path": ("path", "filepath", "imagepath", "file", "filename", "image"),
    "label": ("label", "class", "target"),
    "split": ("split",),
}

Row = tuple[str, dict[str, str]]
"""The position of a row, such as ``line 3``, and its cells, keyed as in ``_COLUMNS``."""


def is_list(path: Path) -> bool:
    """Return whether this is a file with the extension of a list."""
    return path.suffix.lower() in LISTS and path.is_file()


def read_list(file: Path) -> Layout:
    """Read a list of images with the columns ``path``, ``label`` and optionally ``split``.

    Relative paths start from the folder of the list.

    Raises:
        EanetError: the list cannot be read, a column or a cell is missing, or a file has two
            classes.
    """
    labels: dict[Path, tuple[str, str]] = {}
    splits: dict[str, dict[str, list[Path]]] = {"train": {}}
    for where, row in _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file):
        for name, cell in row.items():
            if not cell:
                raise EanetError(f"{file}, {where}: no {name}")
        if "\0" in row["path"]:
            raise EanetError(f"{file}, {where}: {_short(row['path'])} is not a path")
        path, label = _without_dots(file.parent / row["path"]), row["label"]
        first, other = labels.setdefault(path, (where, label))
        if other != label:
            raise EanetError(
                f"{file}: {row['path']} is {other!r} in {first} and {label!r} in {where}; keep one"
            )
        split = row.get("split", "train")
        if split.lower() not in SPLITS:
            raise EanetError(f"{file}, {where}: {unknown_name('split', split, SPLITS)}")
        splits.setdefault(SPLITS[split.lower()], {}).setdefault(label, []).append(path)
    if not splits["train"]:
        raise EanetError(f"{file} lists no training images")
    return Layout(
        file.parent,
        {
            split: Listing(file, dict(sorted(images.items())), [])
            for split, images in splits.items()
        },
        [],
    )


def _without_dots(path: Path) -> Path:
    """Remove ``..``, so that one file has one path; links to folders are followed for that."""
    return path.parent.resolve() / path.name if ".." in path.parts else path


def _read_csv(file: Path) -> Iterator[Row]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            delimiter = max(",;\t", key=text.readline().count)
            text.seek(0)
            rows = csv.reader(text, delimiter=delimiter)
            columns = _columns(file, next(rows, []))
            for row in rows:
                if any(row):
                    cells = {n: row[i].strip() if i < len(row) else "" for n, i in columns.items()}
                    yield f"line {rows.line_num}", cells
    except OSError as error:
        raise EanetError(f"cannot read {file} ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EanetError(f"{file} is not a CSV file in UTF-8: {error}") from error


def _read_parquet(file: Path) -> Iterator[Row]:
    try:
        damaged = import_module("pyarrow").ArrowException
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise EanetError(
            f"reading {file} needs pyarrow: pip install pyarrow, or save the list as CSV"
        ) from error
    try:
        table = parquet.ParquetFile(file)
        names = table.schema_arrow.names
        columns = _columns(file, names)
        wanted = table.read([names[index] for index in columns.values()]).to_pydict()
    except (OSError, damaged) as error:
        raise EanetError(f"cannot read {file}: {' '.join(str(error).split())}") from error
    rows = zip(*(wanted[names[index]] for index in columns.values()), strict=True)
    for number, row in enumerate(rows, 1):
        if not isinstance(row[0], str):
            raise EanetError(f"{file}, row {number}: {_short(row[0])} is not a path")
        cells = ["" if cell is None else str(cell).strip() for cell in row]
        yield f"row {number}", dict(zip(columns, cells, strict=True))


def _columns(file: Path, header: Sequence[str]) -> dict[str, int]:
    """Return the index of each relevant column, keyed as in ``_COLUMNS``."""
    plain = [name.strip().lower().replace("_", "").replace(" ", "") for name in header]
    columns = {
        column: plain.index(next(name for name in names if name in plain))
        for column, names in _COLUMNS.items()
        if set(names) & set(plain)
    }
    if missing := [name for name in ("path", "label") if name not in columns]:
        raise EanetError(
            f"{file} has no column {missing[0]!r}; its first line is {_short(','.join(header))}, "
            "which should name the columns, such as path,label"
        )
    return columns


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
