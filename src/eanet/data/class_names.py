"""The names of classes: one form, one order, readable names for numbers, and near misses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from eanet.data.findings import Finding
from eanet.data.layout import Layout, Listing
from eanet.data.names_file import find_names, read_names
from eanet.errors import EanetError
from eanet.text import some

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_SEPARATORS = re.compile(r"[\s_]+|(?<=\w)-(?=\w)")  # the grade A- ends with a sign


def settle_names(layout: Layout, names: Path | None, known: Sequence[str] = ()) -> Layout:
    """Return the layout with its classes under their final names, in their final order.

    Args:
        layout: as found.
        names: a file with readable names for the classes.
        known: the classes of the model that the images are for, if they are for one.

    Raises:
        EanetError: the file of names cannot be read, or does not name every class.
    """
    notes: list[str] = []
    findings: list[Finding] = []
    splits = {split: _composed(x, notes) for split, x in layout.splits.items()}
    if names is not None:
        every = sorted({name for listing in splits.values() for name in listing.images})
        table = read_names(names, every)
        splits = {split: _renamed(x, table) for split, x in splits.items()}
    elif not known and (file := find_names(layout.root, list(splits["train"].images))):
        remedy = f"--names {file} gives them their names"
        findings.append(Finding("the classes are numbers or codes", "names", remedy))
    of_train = known or tuple(splits["train"].images)
    for split, listing in splits.items():
        if known or split != "train":
            splits[split] = _matched(listing, of_train, split, notes)
    if not known:
        findings += _near_misses(of_train)
    ordered = {
        split: replace(x, images={name: x.images[name] for name in in_order(x.images)})
        for split, x in splits.items()
    }
    return replace(
        layout,
        splits=ordered,
        notes=(*layout.notes, *notes),
        findings=(*layout.findings, *findings),
    )


def in_order(names: Mapping[str, object] | Sequence[str]) -> list[str]:
    """Sort names of classes: by value if all are numbers, so that 45 is before 180, else by name.

    Only then, because ``class_10`` before ``class_2`` is what every other tool has, and what stored
    models have.
    """
    if all(map(_NUMBER.fullmatch, names)):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _composed(listing: Listing, notes: list[str]) -> Listing:
    """Return names in Unicode's composed form: macOS writes the decomposed one."""
    forms: dict[str, list[str]] = {}
    for name in listing.images:
        forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    for name, written in forms.items():
        if len(written) > 1:
            notes.append(f"{name!r} is written in two Unicode forms: read as one class")
    return replace(
        listing,
        images={
            name: sorted(file for form in written for file in listing.images[form])
            if len(written) > 1
            else listing.images[written[0]]
            for name, written in forms.items()
        },
    )


def _renamed(listing: Listing, table: Mapping[str, str]) -> Listing:
    return replace(listing, images={table[name]: x for name, x in listing.images.items()})


def _matched(listing: Listing, known: Sequence[str], split: str, notes: list[str]) -> Listing:
    """Take a class that is unknown but for case or spaces for the one that is meant."""
    by_key: dict[str | Decimal, list[str]] = {}
    for name in known:
        by_key.setdefault(_key(name), []).append(name)
    images: dict[str, list[Path]] = {}
    for name, files in listing.images.items():
        alike = by_key.get(_key(name), [name])
        is_clear = name not in alike and len(alike) == 1 and alike[0] not in listing.images
        meant = alike[0] if is_clear else name
        if meant != name:
            notes.append(f"{name!r} among the {split} images is read as {meant!r}")
        images.setdefault(meant, []).extend(files)
    return replace(listing, images=images)


def _near_misses(names: Sequence[str]) -> Iterator[Finding]:
    groups: dict[str | Decimal, list[str]] = {}
    for name in names:
        groups.setdefault(_key(name), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            both = " and ".join(map(repr, group))
            text = f"the classes {both} differ in case, spaces or zeros alone"
            yield Finding(text, "", "if they are one, give both one name")


def _key(name: str) -> str | Decimal:
    """Return what names have in common that differ in case, separators or a number's zeros."""
    if _NUMBER.fullmatch(name):
        return Decimal(name)  # as written, of any number of digits
    return _SEPARATORS.sub("", name.casefold()) or name


def check_known(layout: Layout, known: Sequence[str]) -> None:
    """Raise an `EanetError` if the images are of classes that a model does not know."""
    found = {n for x in layout.splits.values() for n, files in x.images.items() if files}
    if unknown := in_order(sorted(found - set(known))):
        raise unknown_classes(unknown, known, f"in {layout.root}")


def unknown_classes(unknown: Sequence[str], known: Sequence[str], where: str) -> EanetError:
    """Make the error for classes that a model does not know; ``where`` says whose they are."""
    return EanetError(
        f"the model does not know the class{'es' * (len(unknown) > 1)} "
        f"{some([*map(repr, unknown)])} {where}; it knows "
        f"{', '.join(map(repr, known[:5]))}{', ...' * (len(known) > 5)}"
    )
