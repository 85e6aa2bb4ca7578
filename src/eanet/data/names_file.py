"""Files that give readable names to classes which are numbers or WordNet ids."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from eanet.errors import EanetError
from eanet.files import read_text
from eanet.parsing import parse_json

USUAL = (
    *("words.txt", "synset_words.txt", "LOC_synset_mapping.txt", "classes.txt", "class_names.txt"),
    *("labels.txt", "names.txt", "cat_to_name.json", "class_names.json"),
)
_CODE = re.compile(r"\d+|n\d{8}")


def find_names(folder: Path, classes: Sequence[str]) -> Path | None:
    """Return a file in ``folder`` that names all classes, if these are numbers or WordNet ids."""
    if not classes or not all(map(_CODE.fullmatch, classes)):
        return None
    for name in USUAL:
        file = folder / name
        try:
            if file.is_file() and read_names(file, classes):
                return file
        except EanetError:
            continue
    return None


def read_names(file: Path, classes: Sequence[str]) -> dict[str, str]:
    """Return the readable name of each class.

    The file holds a class and its name per line (``n01440764 tench, Tinca tinca``; also CSV), a
    JSON object, or only names: those of class 0, 1, ... or, if there is no 0, of 1, 2, ... Of
    several names for one class, divided by commas, the first is used if no other class has it.

    Args:
        file: the file.
        classes: names as they are in the data.

    Raises:
        EanetError: it cannot be read, or has no name for one of the classes.
    """
    text = read_text(file)
    try:
        table = _from_json(file, text) if file.suffix.lower() == ".json" else _from_lines(text)
    except csv.Error as error:
        raise EanetError(f"{file} is not a list of class names: {error}") from error
    plain = [line.strip() for line in text.splitlines() if line.strip()]
    if not all(_find(table, name) for name in classes) and all(map(str.isdecimal, classes)):
        start = 0 if any(int(name) == 0 for name in classes) else 1
        table = {str(number): name for number, name in enumerate(plain, start)}
    found = {name: _find(table, name) for name in classes}
    if missing := [name for name, readable in found.items() if not readable]:
        raise EanetError(f"{file} has no name for the class {missing[0]!r}")
    return _distinct({name: str(readable) for name, readable in found.items()})


def _from_json(file: Path, text: str) -> dict[str, str]:
    content = parse_json(text, str(file))
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        raise EanetError(f"{file} holds no names by class")
    # ImageNet's own index holds the id and the name.
    pairs = {str(k): v[-1] if isinstance(v, list) and v else v for k, v in content.items()}
    return {key: name for key, name in pairs.items() if isinstance(name, str)}


def _from_lines(text: str) -> dict[str, str]:
    """Return what stands after the first cell or word of each line, by that word."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any("\t" in line for line in lines):
        cells = [line.split("\t") for line in lines]
    elif all(re.match(r"\S+ \S", line) for line in lines):
        cells = [line.split(" ", 1) for line in lines]
    else:
        cells = list(csv.reader(lines))
    return {row[0].strip(): row[1].strip() for row in cells if len(row) > 1}


def _find(table: Mapping[str, str], name: str) -> str | None:
    if name in table or not name.isdecimal():
        return table.get(name)
    return next((x for key, x in table.items() if key.isdecimal() and int(key) == int(name)), None)


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Shorten each to its first synonym, unless another class then has the same name."""
    short = {key: name.split(",")[0].strip() for key, name in names.items()}
    count = Counter(short.values())
    once = {key: short[key] if count[short[key]] == 1 else name for key, name in names.items()}
    count = Counter(once.values())
    return {key: x if count[x] == 1 else f"{x} ({key})" for key, x in once.items()}
