"""Names of splits: which split the name of a folder, a list or a cell means."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout"), "test"),
}
SPLITS = ("train", "validation", "test")
# Cells of a column is_valid.
_IS_VALID = {
    **dict.fromkeys(("true", "1", "1.0"), "validation"),
    **dict.fromkeys(("false", "0", "0.0"), "train"),
}
# What may stand beside the word without meaning anything.
_FILLERS = {
    *("set", "data", "dataset", "split", "folder", "dir", "final", "raw", "new"),
    *("image", "images", "img", "imgs", "pics", "photos", "label", "labels", "list"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def split_meant(name: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` if exactly one word of a name means it.

    Words end at separators, digits and capitals, and in ``set``: ``seg_train``, ``test-set``,
    ``Val2017``, ``TrainSet``, ``testset``.
    """
    found = {_WORDS[word] for word in _words(name) if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def splits_meant(cells: Iterable[str]) -> list[str]:
    """Return the splits that the cells of a column mean, or none unless all do and some train."""
    splits = [_IS_VALID.get(cell.lower()) or split_meant(cell) or "" for cell in cells]
    return splits if all(splits) and "train" in splits else []


def is_plain(name: str) -> bool:
    """Return whether a name is the usual word for a split, which needs no saying."""
    return name.lower() in ("train", "training", "val", "valid", "validation", "test", "testing")


def is_evaluation(name: str) -> bool:
    """Return whether a name says "eval", which is the test images or, beside those, others."""
    return bool({"eval", "evaluation"} & set(_words(name)))


def rest_of(name: str) -> str:
    """Return what a name of a split says beside the split, such as ``seg`` for ``seg_train``."""
    return " ".join(w for w in _words(name) if w not in _WORDS and w not in _FILLERS)


def is_pattern(names: Iterable[str]) -> bool:
    """Return whether the names of splits differ in the split alone: seg_train and seg_test."""
    return len(set(map(rest_of, names))) == 1


def _words(name: str) -> list[str]:
    words = [word.lower() for word in _WORD.findall(name)]
    return [w.removesuffix("set") if w.removesuffix("set") in _WORDS else w for w in words]
