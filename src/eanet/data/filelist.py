"""Read lists of images and their classes, and check that they do not contradict themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eanet.data.layout import Layout, Listing, relative
from eanet.data.list_paths import as_posix, find_files
from eanet.data.list_rows import Header, Row, is_header, open_list, shown
from eanet.data.split_names import SPLITS, split_meant, splits_meant
from eanet.errors import EanetError, unknown_name
from eanet.text import some

_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")


class Entry(NamedTuple):
    """What a row says: where it stands, its file, class and split, and its group if it has one."""

    where: str
    path: Path
    label: str
    split: str
    group: str = ""


def read_list(file: Path, group: str | None = None) -> Layout:
    """Read a list of images with the columns ``path``, ``label`` and optionally ``split``.

    Relative paths start from the folder of the list, or, if not one of them is there, name files
    anywhere below it.

    Args:
        file: the list.
        group: name of the column, if there is one, with what images belong together by.

    Raises:
        EanetError: the list cannot be read, a column or a cell is missing, or a file has two
            classes or is in two splits, or a path may mean different files.
    """
    entries, notes = read_entries(file, lambda _: "train", group=group)
    listings = to_listings(file, entries)
    if "train" not in listings:
        raise EanetError(f"{file} lists no training images")
    return Layout(file.parent, listings, tuple(notes))


def read_entries(
    file: Path,
    split_of: Callable[[Path], str],
    near: Sequence[Path] = (),
    group: str | None = None,
) -> tuple[list[Entry], list[str]]:
    """Return what a list says, each file once, and notes on how it was read.

    Args:
        file: the list.
        split_of: returns the split of a file whose row names none.
        near: folders below that of the list, which the images are likely in.
        group: as for `read_list`.

    Raises:
        EanetError: as for `read_list`.
    """
    with open_list(file, group) as opened:
        rows = list(opened.rows)
    notes = list(_doubts(file, opened.header, rows))
    if not opened.has_header:
        notes.append(f"{file.name} has no header: an image and its class are read from each line")
    rows = [(where, cells) for where, cells in rows if not is_header(cells)]
    notes += _take_splits(file, opened.header, [cells for _, cells in rows])
    for where, cells in rows:
        for name, cell in cells.items():
            if not cell and name != "group":
                raise EanetError(f"{file}, {where}: no {name}")
        if "\0" in cells["path"]:
            raise EanetError(f"{file}, {where}: {shown(cells['path'])} is not a path")
    paths = [as_posix(cells["path"], file.parent) for _, cells in rows]
    files, said = find_files(file, paths, near)
    notes += said
    whole, labels = _whole_numbers([cells["label"] for _, cells in rows])
    if whole:
        notes.append(f"classes in {file.name} are whole numbers: {whole[0]} is read as {whole[1]}")
    entries = []
    for (where, cells), found, label in zip(rows, files, labels, strict=True):
        split = _split(file, where, cells["split"]) if "split" in cells else split_of(found)
        entries.append(Entry(where, found, label, split, cells.get("group", "")))
    once, twice = _each_once(file, entries)
    if twice:
        notes.append(
            f"{file.name} lists {len(twice)} file{'s' * (len(twice) > 1)} more than once, used "
            f"once: {twice[0].path.name} again in {twice[0].where}"
        )
    return once, notes


def to_listings(place: Path, entries: Sequence[Entry]) -> dict[str, Listing]:
    """Return the files by split and class."""
    splits: dict[str, dict[str, list[Path]]] = {}
    for entry in entries:
        splits.setdefault(entry.split, {}).setdefault(entry.label, []).append(entry.path)
    groups = {entry.path: entry.group for entry in entries if entry.group}
    return {split: Listing(place, splits[split], [], groups) for split in SPLITS if split in splits}


def _doubts(file: Path, header: Header, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what is read in one way and may be meant in another."""
    if not rows:
        return
    if again := [where for where, cells in rows if is_header(cells)]:
        yield f"{file.name} has its header again in {again[0]}, as if it were several lists in one"
    if header.marks:
        names = some([*header.marks.values()])
        yield f"classes in {file.name} are its columns, an image's the one with a 1: {names}"
        return
    taken, *others = header.label_names or [header.name("label")]
    if not header.label_names:
        yield f"classes in {file.name} are in its only other column, {taken}"
    elif others:
        yield (
            f"classes in {file.name} are read from its column {taken}; if they are in "
            f"{some(others)}, rename {taken}"
        )


def _take_splits(file: Path, header: Header, rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Take the splits from a column of another name, such as fastai's, if every cell means one."""
    if splits := splits_meant([row.pop("maybe split") for row in rows if "maybe split" in row]):
        for row, split in zip(rows, splits, strict=True):
            row["split"] = split
        yield f"splits in {file.name} are in its column {header.name('maybe split')}"


def _split(file: Path, where: str, name: str) -> str:
    if (split := split_meant(name)) is None:
        raise EanetError(f"{file}, {where}: {unknown_name('split', name, SPLITS)}")
    return split


def _whole_numbers(labels: list[str]) -> tuple[tuple[str, str] | None, list[str]]:
    """Write 1.0, as pandas does once a cell is missing, as 1, where all are whole numbers.

    Returns:
        One of the labels before and after, if any differs; and all labels.
    """
    changed = next((label for label in labels if "." in label), None)
    if changed is None or not all(map(_WHOLE.fullmatch, labels)):
        return None, labels
    return (changed, changed.split(".")[0]), [label.split(".")[0] for label in labels]


def _each_once(file: Path, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return each file's first entry, and the others.

    Raises:
        EanetError: they do not say the same.
    """
    firsts: dict[Path, Entry] = {}
    twice = []
    for entry in entries:
        first = firsts.setdefault(entry.path, entry)
        if first is entry:
            continue
        for one, other in ((first.label, entry.label), (first.split, entry.split)):
            if one != other:
                raise EanetError(
                    f"{file}: {relative(entry.path, file.parent)} is {one!r} in {first.where} and "
                    f"{other!r} in {entry.where}; keep one"
                )
        twice.append(entry)
    return list(firsts.values()), twice
