"""The rows of a list of images: CSV, TSV, JSON lines, Parquet, or plain text without a header."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from eanet.data.layout import LISTS, is_image
from eanet.errors import EanetError, one_line
from eanet.text import some

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
# Cells of a column for one class, such as ISIC's lists have it.
_MARKS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
ANNOTATIONS = "val_annotations.txt"  # of Tiny ImageNet: file, class and a box, without a header

PARQUET_ROWS = 1024  # read at a time
LINE = 4096  # characters of a text file read to tell whether it is a list

_PAIR = ("path", "label")  # the columns of a list without a header

Row = tuple[str, dict[str, str]]
"""The position of a row, such as ``line 3``, and its cells, keyed as `Header.columns`."""

Cells = Iterator[tuple[str, Sequence[Any]]]
"""The position of each row, and its cells in the order of `Header.columns`."""


class Header:
    """The names of the columns of a list, or of a table in memory, and which of them matter.

    Attributes:
        names: as they are written.
        columns: the index of each that is there, keyed as ``_COLUMNS`` and in its order; then of
            ``maybe split``, which another name than ``split`` makes look like it, of ``group`` and
            of ``marks``.
        marks: where no column has the classes, the name of each other column by its key in
            ``columns``: it may be a class, marked with 1 in the rows of its images, else 0.
    """

    def __init__(self, names: Iterable[str], group: str | None = None) -> None:
        self.names = list(names)
        plain = [_plain(name) for name in self.names]
        found = {
            column: next((plain.index(name) for name in known if name in plain), None)
            for column, known in _COLUMNS.items()
        }
        if group in self.names:
            found["group"] = self.names.index(group)
        rest = [i for i in range(len(plain)) if i not in found.values() and not _is_index(plain[i])]
        own = [i for i in rest if plain[i] not in _MAYBE_SPLIT] or rest
        if found["path"] is not None and found["label"] is None and len(own) == 1:
            found["label"] = own[0]  # beside a single other, paths have classes
            rest.remove(own[0])
        if found["split"] is None:
            found["maybe split"] = next((i for i in rest if plain[i] in _MAYBE_SPLIT), None)
        self.columns = {column: i for column, i in found.items() if i is not None}
        taken = set(self.columns.values())
        others = {f"is {self.names[i]}": i for i in rest if i not in taken}
        may_mark = self.missing == ["label"] and len(others) > 1
        marks = {column: self.names[i].strip() for column, i in others.items()}
        self.marks = marks if may_mark else {}
        self.columns |= others if may_mark else {}

    @property
    def missing(self) -> list[str]:
        """The columns that are not there of those that a list of labelled images has."""
        return [column for column in ("path", "label") if column not in self.columns]

    @property
    def label_names(self) -> list[str]:
        """The names of the columns that are called as if they had the classes, as taken."""
        order = _COLUMNS["label"]
        names = [name for name in self.names if _plain(name) in order]
        return sorted(names, key=lambda name: order.index(_plain(name)))

    def name(self, column: str) -> str:
        """Return what one of ``columns`` is called."""
        return self.names[self.columns[column]]


class ListFile(NamedTuple):
    """An open list.

    Attributes:
        header: the names of its columns, known also after it is closed.
        rows: its rows, to be read once; an `EanetError` if there are no paths or no classes.
        lines: of a file that may lack a header, as they stand.
        has_header: whether the columns are named in the file; otherwise they are what they look
            like.
    """

    header: Header
    rows: Iterator[Row]
    lines: Iterable[Sequence[str]] = ((),)
    has_header: bool = True

    def names_images(self) -> bool:
        """Return whether there is a column of paths, or a CSV file has images in its first row."""
        return "path" in self.header.columns or any(
            is_image(Path(cell)) for cell in next(iter(self.lines), self.header.names)
        )


def is_list(path: Path) -> bool:
    """Return whether this is a file with the extension of a list, of text if it begins as one."""
    if path.suffix.lower() not in LISTS or not path.is_file():
        return False
    return path.suffix.lower() != ".txt" or path.name == ANNOTATIONS or _begins_as_list(path)


def _begins_as_list(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig") as text:
            return _is_pair(_text_row(text.readline(LINE)))
    except (OSError, UnicodeDecodeError):
        return False


def is_header(cells: dict[str, str]) -> bool:
    """Return whether a row names columns: the header again, where lists were joined."""
    return all(_plain(cells[column]) in _COLUMNS[column] for column in ("path", "label"))


@contextmanager
def open_list(file: Path, group: str | None = None) -> Iterator[ListFile]:
    """Open a list and read its header; rows have a ``group`` if a column has that name.

    Raises:
        EanetError: it cannot be read, here or in the block.
    """
    kind = file.suffix[1:].lower()
    if kind == "parquet":
        with _open_parquet(file, group) as opened:
            yield opened
        return
    read = {"jsonl": _json_lines, "txt": _text}.get(kind, _csv)
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            yield read(file, text, group)
    except OSError as error:
        raise EanetError(f"cannot read {file} ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        kind = kind.upper()
        raise EanetError(f"{file} is not a {kind} file in UTF-8, save it so: {error}") from error


def _csv(file: Path, text: TextIO, group: str | None) -> ListFile:
    delimiter = max(",;\t", key=text.readline().count)
    text.seek(0)
    lines = csv.reader(text, delimiter=delimiter)
    first: Sequence[str] = next(lines, [])
    rest: Iterable[Sequence[str]] = lines
    if not (has_header := not _is_pair(first)):
        first, rest = _PAIR, chain([first], lines)
    header = Header(first, group)
    cells = ((f"line {lines.line_num}", _at(header, line)) for line in rest if any(line))
    return ListFile(header, _rows(file, header, cells), lines, has_header)


def _text(file: Path, text: TextIO, _: str | None) -> ListFile:
    header = Header(_PAIR)  # written nowhere, so that no group is found in it
    divide = _annotation if file.name == ANNOTATIONS else _text_row
    lines = ((number, divide(line)) for number, line in enumerate(text, 1) if line.strip())
    cells = ((f"line {number}", _at(header, line)) for number, line in lines)
    return ListFile(header, _rows(file, header, cells))


def _annotation(line: str) -> Sequence[str]:
    return line.split("\t")


def _text_row(line: str) -> Sequence[str]:
    """Return the file and the class of a line of other lists, such as Caffe's and OpenMMLab's."""
    return line.rsplit(maxsplit=1)


def _is_pair(row: Sequence[str]) -> bool:
    """Whether this is an image and its class, and names no columns."""
    return len(row) == 2 and is_image(Path(row[0])) and not is_image(Path(row[1]))


def _at(header: Header, line: Sequence[str]) -> list[str]:
    return [line[index] if index < len(line) else "" for index in header.columns.values()]


def _json_lines(file: Path, text: TextIO, group: str | None) -> ListFile:
    objects = _objects(file, text)
    first = list(islice(objects, 1))
    header = Header([name for _, content in first for name in content], group)
    cells = _object_cells(file, header, chain(first, objects), group)
    # An empty file names no columns, so that it lacks none.
    return ListFile(header, _rows(file, header, cells) if first else iter(()))


def _object_cells(
    file: Path, header: Header, objects: Iterable[tuple[int, dict[str, Any]]], group: str | None
) -> Cells:
    names = [header.name(column) for column in header.columns]
    known = {tuple(header.names)}
    for number, content in objects:
        if (own := tuple(content)) not in known:
            known.add(own)
            columns = Header(own, group).columns
            for column in ("split", "group"):  # without which its images would be others'
                if column in columns and column not in header.columns:
                    name = own[columns[column]]
                    raise EanetError(
                        f"{file}, line {number}: {name!r} is not in the first line, which names "
                        "the columns: write it there as well"
                    )
        yield f"line {number}", [content.get(name) for name in names]


def _objects(file: Path, text: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that has one."""
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
def _open_parquet(file: Path, group: str | None) -> Iterator[ListFile]:
    try:
        damaged = import_module("pyarrow").ArrowException
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise EanetError(
            f"reading {file} needs pyarrow: pip install pyarrow, or save the list as CSV"
        ) from error
    try:
        table = parquet.ParquetFile(file)
        header = Header(table.schema_arrow.names, group)
        yield ListFile(header, _rows(file, header, _parquet_cells(file, table, header)))
    except (OSError, damaged) as error:
        raise EanetError(f"cannot read {file}: {one_line(error)}") from error


def _parquet_cells(file: Path, table: Any, header: Header) -> Cells:
    names = [header.name(column) for column in header.columns]
    numbers = count(1)
    # A part at a time and without the other columns, which may hold the images themselves.
    for batch in table.iter_batches(PARQUET_ROWS, columns=names):
        columns = batch.to_pydict()
        rows = zip(*(columns[name] for name in names), strict=True)
        for row, number in zip(rows, numbers, strict=False):
            if not isinstance(row[0], str):
                raise EanetError(f"{file}, row {number}: {shown(row[0])} is not a path")
            yield f"row {number}", row


def _rows(file: Path, header: Header, cells: Cells) -> Iterator[Row]:
    if header.missing and not header.marks:
        raise _lacks_column(file, header)
    for place, (where, values) in enumerate(cells):
        texts = ("" if value is None else str(value).strip() for value in values)
        row = dict(zip(header.columns, texts, strict=True))
        if header.marks:
            marks = {name: row.pop(column) for column, name in header.marks.items()}
            if not place and not all(map(is_mark, marks.values())):
                raise _lacks_column(file, header)
            row["label"] = marked(f"{file}, {where}", marks)
        yield where, row


def is_mark(cell: str) -> bool:
    """Return whether a cell says that an image is of the class of its column, or that it is not."""
    return cell.lower() in _MARKS


def marked(where: str, cells: Mapping[str, str]) -> str:
    """Return the class that is marked in the cells of a row, by the names of their columns.

    Raises:
        EanetError: there is none, or several, or a cell says something else.
    """
    others = [name for name, cell in cells.items() if not is_mark(cell)]
    if others:
        raise EanetError(
            f"{where}: {shown(cells[others[0]])} in column {others[0]} is neither 1 nor 0, "
            "which say the class where no column is called label"
        )
    found = [name for name, cell in cells.items() if _MARKS[cell.lower()]]
    if len(found) != 1:
        of = f"of {some(found)}" if found else f"of none of {some([*cells])}"
        raise EanetError(f"{where}: the image is {of}; it has one class here")
    return found[0]


def _lacks_column(file: Path, header: Header) -> EanetError:
    return EanetError(
        f"{file} has no column {header.missing[0]!r}; its first line is "
        f"{shown(','.join(header.names))}, which should name the columns, such as path,label"
    )


def _is_index(plain: str) -> bool:
    """Whether a column has no name of its own, such as the numbers of rows that pandas writes."""
    return not plain or plain.startswith(("unnamed:", "indexlevel"))


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")


def shown(value: Any) -> str:
    """Return a value as it is written in Python, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
