"""The rows of a list of images: CSV, TSV, JSON lines, Parquet, or Tiny ImageNet's own form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from eanet.data.formats import image_extensions
from eanet.data.layout import LISTS
from eanet.errors import EanetError, one_line

# Accepted column names; the first one present is used. Case, spaces, hyphens and underscores are
# ignored.
_COLUMNS = {
    "path": (
        *("path", "filepath", "imagepath", "imgpath", "file", "filename", "fname"),
        *("image", "imagename", "imgname", "imagefile", "img", "imageid", "imgid", "id"),
    ),
    "label": (
        *("label", "class", "target", "category", "labels", "classname", "labelname"),
        *("classlabel", "categoryname", "classid", "labelid", "categoryid"),
    ),
    "split": ("split",),
}
# Names of a column of splits that may mean something else as well: its cells have to say it.
_MAYBE_SPLIT = ("subset", "set", "dataset", "partition", "phase", "isvalid", "isval")
ANNOTATIONS = "val_annotations.txt"  # of Tiny ImageNet: file, class and a box, without a header

Row = tuple[str, dict[str, str]]
"""The position of a row, such as ``line 3``, and its cells, keyed as in ``_COLUMNS``.

``maybe split`` has those of a column that another name than ``split`` makes look like one."""


def is_list(path: Path) -> bool:
    """Return whether this is a file with the extension of a list, or Tiny ImageNet's."""
    return (path.suffix.lower() in LISTS or path.name == ANNOTATIONS) and path.is_file()


def has_labels(file: Path) -> bool:
    """Return whether a list has a column of paths and one of classes.

    Raises:
        EanetError: it cannot be read.
    """
    return file.name == ANNOTATIONS or {"path", "label"} <= named_columns(_header(file)).keys()


def names_images(file: Path) -> bool:
    """Return whether a list has a column of paths, or a CSV file images in its first row.

    Raises:
        EanetError: it cannot be read.
    """
    if file.suffix.lower() in (".jsonl", ".parquet") or "path" in named_columns(_header(file)):
        return "path" in named_columns(_header(file))
    with _open_text(file) as text:
        first = list(islice(csv.reader(text, delimiter=_delimiter(text)), 2))[-1:]
    return any(Path(cell).suffix.lower() in image_extensions() for row in first for cell in row)


def unusual_label(file: Path) -> str | None:
    """Return the name of the column of classes, if it was taken because there is no other.

    Raises:
        EanetError: it cannot be read.
    """
    if file.name == ANNOTATIONS:
        return None
    name = (header := _header(file))[named_columns(header)["label"]]
    return None if _plain(name) in _COLUMNS["label"] else name


def label_columns(file: Path) -> list[str]:
    """Return the names of the columns that are called as if they had the classes, as taken.

    Raises:
        EanetError: it cannot be read.
    """
    if file.name == ANNOTATIONS:
        return []
    names = [name for name in _header(file) if _plain(name) in _COLUMNS["label"]]
    return sorted(names, key=lambda name: _COLUMNS["label"].index(_plain(name)))


def maybe_split(file: Path) -> str | None:
    """Return the name of the column that looks as if it had the splits, if none is called so.

    Raises:
        EanetError: it cannot be read.
    """
    return None if file.name == ANNOTATIONS else maybe_split_name(_header(file))


def maybe_split_name(header: Sequence[str]) -> str | None:
    """Return which of the names of columns looks so, if none is ``split``."""
    taken = named_columns(header)
    rest = [name for index, name in enumerate(header) if index not in taken.values()]
    looks = (name for name in rest if _plain(name) in _MAYBE_SPLIT)
    return None if "split" in taken else next(looks, None)


def _header(file: Path) -> list[str]:
    if file.suffix.lower() == ".parquet":
        return list(_open_parquet(file).schema_arrow.names)
    if file.suffix.lower() == ".jsonl":
        return next((list(content) for _, content in _objects(file)), [])
    with _open_text(file) as text:
        return next(csv.reader(text, delimiter=_delimiter(text)), [])


def read_rows(file: Path, group: str | None = None) -> Iterator[Row]:
    """Yield the rows of a list.

    Raises:
        EanetError: it cannot be read, or has no column of paths or of classes.
    """
    if file.name == ANNOTATIONS:
        return _read_annotations(file)
    readers = {".parquet": _read_parquet, ".jsonl": _read_json_lines}
    return readers.get(file.suffix.lower(), _read_csv)(file, group)


def is_header(cells: dict[str, str]) -> bool:
    """Return whether a row names columns: the header again, where lists were joined."""
    return all(_plain(cells[column]) in _COLUMNS[column] for column in ("path", "label"))


def _read_annotations(file: Path) -> Iterator[Row]:
    with _open_text(file) as text:
        for number, line in enumerate(text, 1):
            if cells := [cell.strip() for cell in line.split("\t")][:2]:
                yield f"line {number}", dict(zip(("path", "label"), [*cells, ""], strict=False))


def _read_csv(file: Path, group: str | None) -> Iterator[Row]:
    with _open_text(file) as text:
        rows = csv.reader(text, delimiter=_delimiter(text))
        columns = _columns(file, next(rows, []), group)
        for row in rows:
            if any(row):
                cells = {n: row[i].strip() if i < len(row) else "" for n, i in columns.items()}
                yield f"line {rows.line_num}", cells


def _read_json_lines(file: Path, group: str | None) -> Iterator[Row]:
    columns: dict[str, str] | None = None
    for number, content in _objects(file):
        if columns is None:
            names = list(content)
            columns = {c: names[index] for c, index in _columns(file, names, group).items()}
        values = {column: content.get(name) for column, name in columns.items()}
        cells = {column: "" if x is None else str(x).strip() for column, x in values.items()}
        yield f"line {number}", cells


def _objects(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that has one."""
    with _open_text(file) as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise EanetError(f"{file}, line {number}: not JSON ({error})") from error
            if not isinstance(content, dict):
                raise EanetError(f"{file}, line {number}: {shown(content)} names no columns")
            yield number, content


@contextmanager
def _open_text(file: Path) -> Iterator[TextIO]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            yield text
    except OSError as error:
        raise EanetError(f"cannot read {file} ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        kind = file.suffix[1:].upper()
        raise EanetError(f"{file} is not a {kind} file in UTF-8, save it so: {error}") from error


def _delimiter(text: TextIO) -> str:
    """Return what separates the cells of the first line; the file is then at its beginning."""
    delimiter = max(",;\t", key=text.readline().count)
    text.seek(0)
    return delimiter


def _open_parquet(file: Path) -> Any:
    try:
        damaged = import_module("pyarrow").ArrowException
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise EanetError(
            f"reading {file} needs pyarrow: pip install pyarrow, or save the list as CSV"
        ) from error
    try:
        return parquet.ParquetFile(file)
    except (OSError, damaged) as error:
        raise EanetError(f"cannot read {file}: {one_line(error)}") from error


def _read_parquet(file: Path, group: str | None) -> Iterator[Row]:
    table = _open_parquet(file)
    names = table.schema_arrow.names
    columns = _columns(file, names, group)
    try:
        wanted = table.read([names[index] for index in columns.values()]).to_pydict()
    except (OSError, import_module("pyarrow").ArrowException) as error:
        raise EanetError(f"cannot read {file}: {one_line(error)}") from error
    rows = zip(*(wanted[names[index]] for index in columns.values()), strict=True)
    for number, row in enumerate(rows, 1):
        if not isinstance(row[0], str):
            raise EanetError(f"{file}, row {number}: {shown(row[0])} is not a path")
        cells = ["" if cell is None else str(cell).strip() for cell in row]
        yield f"row {number}", dict(zip(columns, cells, strict=True))


def _columns(file: Path, header: Sequence[str], group: str | None) -> dict[str, int]:
    """Return the index of each relevant column, keyed as in ``_COLUMNS``, and of ``group``."""
    columns = named_columns(header)
    if missing := [name for name in ("path", "label") if name not in columns]:
        raise EanetError(
            f"{file} has no column {missing[0]!r}; its first line is {shown(','.join(header))}, "
            "which should name the columns, such as path,label"
        )
    if (name := maybe_split_name(header)) is not None:
        columns["maybe split"] = list(header).index(name)
    if group is not None and group in header:
        columns["group"] = list(header).index(group)
    return columns


def named_columns(header: Sequence[str]) -> dict[str, int]:
    """Return the index of each column that is there; beside a single other, paths have classes."""
    plain = [_plain(name) for name in header]
    found = {
        column: plain.index(next(name for name in names if name in plain))
        for column, names in _COLUMNS.items()
        if set(names) & set(plain)
    }
    rest = set(range(len(plain))) - set(found.values())
    if "path" in found and "label" not in found and len(rest) == 1:
        found["label"] = rest.pop()
    return {column: found[column] for column in _COLUMNS if column in found}


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")


def shown(value: Any) -> str:
    """Return a value as it is written in Python, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
