"""The lists that lie in a folder of images, or beside its folders, as competitions have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from eanet.data.file_names import names_hint
from eanet.data.filelist import read_entries, to_listings
from eanet.data.findings import Finding
from eanet.data.layout import Layout, Listing, list_files, visible_files
from eanet.data.list_rows import is_list, open_list
from eanet.data.split_names import SPLITS, split_meant
from eanet.errors import EanetError


@dataclass(frozen=True)
class Lists:
    """The lists in one folder.

    Attributes:
        folder: the folder.
        files: those with a column of classes, by the split that their names mean; ``None``: none.
        others: those without.
        group: as for `read_list`.
    """

    folder: Path
    files: Mapping[str | None, tuple[Path, ...]]
    others: tuple[Path, ...]
    group: str | None = None

    def __bool__(self) -> bool:
        return bool(self.files)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose images are listed; a list whose name means none is for training."""
        return tuple(split or "train" for split in self.files)

    def listing(self, split: str, place: Path) -> tuple[Listing, list[str]]:
        """Read the list of a split whose images are in ``place``; also return notes on it.

        Raises:
            EanetError: there are several, or it cannot be read.
        """
        file = self._only(split if split in self.files else None)
        entries, notes = read_entries(file, lambda _: split, [place], self.group)
        return to_listings(file, entries).get(split, Listing(file, {}, [])), notes

    def read(self, places: Mapping[str, Path] | None = None) -> Layout:
        """Read all lists as one data set.

        Args:
            places: the folders of the splits, if there are any.

        Raises:
            EanetError: a list cannot be read, there is none for training, or a file is in two.
        """
        places, notes = places or {}, []
        if self.others:
            names = ", ".join(file.name for file in self.others)
            notes.append(f"lists without classes, left out: {names}")
        splits: dict[str, Listing] = {}
        inside = {path.resolve(): split for split, path in places.items()}
        for meant in self.files:
            file = self._only(meant)
            near = [places[split] for split in (meant or "train",) if split in places]

            def split_of(path: Path, meant: str | None = meant) -> str:
                if meant is not None:
                    return meant
                return next((inside[p] for p in path.parents if p in inside), "train")

            entries, said = read_entries(file, split_of, near, self.group)
            for split, listing in to_listings(file, entries).items():
                if split in splits:
                    raise EanetError(
                        f"{splits[split].place.name} and {file.name} in {self.folder} both list "
                        f"{split} images: name the one to read, or move the other away"
                    )
                splits[split] = listing
            notes += said
        if "train" not in splits:
            others = list_files(places["train"]) if "train" in places else ()
            raise EanetError(
                f"the lists in {self.folder} name no training images{names_hint(others)}"
            )
        notes += [
            f"no list says the classes of the images in {place.name}: left out"
            for split, place in places.items()
            if split not in splits
        ]
        in_order = {split: splits[split] for split in SPLITS if split in splits}
        _check_apart(self.folder, in_order)
        return Layout(self.folder, in_order, tuple(notes))

    def unused(self, classes: Iterable[str]) -> Iterator[Finding]:
        """Yield the lists that say more than the folders which are read as ``classes`` instead."""
        known = {name.casefold() for name in classes}
        for file in (*chain.from_iterable(self.files.values()), *self.others):
            try:
                if not file.stat().st_size:  # says nothing, whatever its header
                    continue
                with open_list(file) as opened:
                    rows = () if file in self.others else opened.rows
                    labels = dict.fromkeys(cells["label"] for _, cells in rows if cells["label"])
                    lacks_classes = not labels and opened.names_images()
            except (EanetError, OSError):  # left out like any other file
                continue
            if other := [label for label in labels if label.casefold() not in known]:
                yield Finding(
                    f"the folders are read as classes, not the list {file.name} with other classes "
                    f"({', '.join(other[:3])}{', ...' if len(other) > 3 else ''})",
                    "layout",
                    f"to read the list, name it: {file}",
                )
            elif lacks_classes:
                lacks, remedy = "columns path and label", "name its columns so"
                if not opened.header.missing:
                    lacks = f"class in its column {opened.header.name('label')}"
                    remedy = "write them there"
                yield Finding(
                    f"the folders are read as classes, not the list {file.name}, which has no "
                    f"{lacks}",
                    "layout",
                    f"if it is to have the classes, {remedy}, and then name the list: {file}",
                )

    def _only(self, split: str | None) -> Path:
        first, *others = self.files[split]
        if others:
            raise EanetError(
                f"{first.name} and {others[0].name} in {self.folder} both list images: name the "
                "one to read, or move the other away"
            )
        return first


def find_lists(folder: Path, split: str | None = None, group: str | None = None) -> Lists:
    """Return the lists that lie in a folder.

    Args:
        folder: the folder.
        split: of the images in it; None: the names of the lists say.
        group: as for `read_list`.

    Raises:
        OSError: the folder cannot be read.
    """
    lists = list(filter(is_list, visible_files(folder)))
    labelled = [file for file in lists if _may_have_labels(file)]
    # A sample of what to hand in may mark classes, too, beside the list to train on.
    if not any((split or split_meant(file.stem) or "train") == "train" for file in labelled):
        labelled += [file for file in lists if file not in labelled and _is_marked(file, group)]
    files: dict[str | None, tuple[Path, ...]] = {}
    for file in labelled:
        meant = split or split_meant(file.stem)
        files[meant] = (*files.get(meant, ()), file)
    others = tuple(file for file in lists if file not in labelled)
    return Lists(folder, files, others, group)


def _may_have_labels(file: Path) -> bool:
    """Whether a list has classes; one that cannot be read says why when it is needed."""
    try:
        with open_list(file) as opened:
            return not opened.header.missing
    except EanetError:
        return True


def _is_marked(file: Path, group: str | None) -> bool:
    """Whether the first row of a list without a column of classes says it in one for each class."""
    try:
        with open_list(file, group) as opened:
            return any(True for _ in opened.rows)
    except EanetError:
        return False


def _check_apart(folder: Path, splits: Mapping[str, Listing]) -> None:
    seen: dict[Path, str] = {}
    for split, listing in splits.items():
        for file in (file for files in listing.images.values() for file in files):
            if seen.setdefault(file, split) != split:
                raise EanetError(
                    f"the lists in {folder} have {file.name} among both the {seen[file]} and the "
                    f"{split} images; keep one"
                )
