"""Read the user's own images: a folder of class folders, a list, or an archive of either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from eanet.config import DataSettings, LayoutName
from eanet.data.archive import is_archive, unpacked
from eanet.data.class_names import settle_names
from eanet.data.file_names import names_hint, read_names
from eanet.data.filelist import read_list
from eanet.data.folder_lists import Lists, find_lists
from eanet.data.folder_splits import UNSORTED, Places, find_splits
from eanet.data.layout import (
    Layout,
    Listing,
    is_image,
    list_files,
    list_images,
    visible_files,
    visible_folders,
)
from eanet.data.list_rows import is_list
from eanet.data.split_names import SPLITS, is_plain, split_meant
from eanet.data.suspicions import suspicions
from eanet.errors import EanetError
from eanet.files import readable


@contextmanager
def open_layout(
    path: Path,
    settings: DataSettings = DataSettings(),  # noqa: B008
    known: Sequence[str] = (),
) -> Iterator[Layout]:
    """Find the images of a folder, a list or an archive, for as long as the block lasts.

    A folder is laid out as ``<class>/...`` or ``<split>/<class>/...``, or holds lists. It may be
    nested in folders that hold only one folder. Errors raised in the block name an archive instead
    of the folder it is unpacked to.

    Args:
        path: the folder, list or archive.
        settings: ``layout``, ``names`` and ``group`` say how it is read.
        known: classes of a model; the images may be of some of them.

    Raises:
        EanetError: it cannot be read, or has no images with classes.
    """
    with unpacked(path) if is_archive(path) else nullcontext(path) as place:
        try:
            found = _find_layout(place, settings, known)
            layout = settle_names(found, settings.names, known)
        except OSError as error:
            raise EanetError(f"cannot read {error.filename} ({error.strerror})") from error
        yield layout


def _find_layout(path: Path, settings: DataSettings, known: Sequence[str]) -> Layout:
    if is_list(path):
        return read_list(path, settings.group)
    return read_folder(_inner(path, known), settings.layout, settings.group)


def _inner(folder: Path, known: Sequence[str]) -> Path:
    """Descend through folders that hold only one folder to the classes, splits or lists."""
    folders, files = _only_images(visible_folders(folder)), visible_files(folder)
    if len(folders) != 1 or split_meant(folders[0].name) or folders[0].name in known:
        return folder
    if any(is_image(file) or is_list(file) for file in files):
        return folder
    is_class = not visible_folders(folders[0]) and not any(map(is_list, visible_files(folders[0])))
    return folder if is_class else _inner(folders[0], known)


def _only_images(folders: Sequence[Path]) -> Sequence[Path]:
    """Return the one with folders of splits, if others hold no image: ``images`` and ``labels``."""
    hold_splits = [p for p in folders if any(split_meant(x.name) for x in visible_folders(p))]
    if len(folders) < 2 or not hold_splits:
        return folders
    hold_images = [path for path in folders if list_images(path)]
    return hold_images if len(hold_images) == 1 and hold_images[0] in hold_splits else folders


def read_folder(root: Path, reading: LayoutName = "auto", group: str | None = None) -> Layout:
    """Read a folder of class folders, with or without folders of splits around them, or of lists.

    Args:
        root: the folder.
        reading: as ``layout`` of `DataSettings`.
        group: name of the column, if a list has it, with what images belong together by.

    Raises:
        EanetError: there are no class folders and no list, or no ``train`` beside other splits.
        OSError: a folder cannot be read.
    """
    lists = find_lists(root, group=group)
    places = find_splits(root, reading, lists.splits)
    if reading == "filenames":
        return read_names(root, places)
    if places.are_split:
        return _read_splits(root, places, lists, reading)
    if len(visible_folders(root)) < 2 and lists:
        return lists.read()
    if reading == "auto" and (inverted := _splits_within_classes(root)):
        return inverted
    train = _read_classes(root, reading)
    if not train.images and lists.others:
        read_list(lists.others[0])  # says what it lacks
    findings = (*places.findings, *lists.unused(train.images), *suspicions(train, reading))
    return Layout(root, {"train": _checked(train)}, places.notes, findings)


def _read_splits(root: Path, places: Places, lists: Lists, reading: LayoutName) -> Layout:
    splits: dict[str, Listing] = {}
    notes = list(places.notes)
    if not _is_sorted(places.splits["train"]) and lists and not find_lists(places.splits["train"]):
        return lists.read(places.splits)
    for split, place in places.splits.items():
        own = find_lists(place, split, lists.group)
        if _is_sorted(place) or not (own or split in lists.splits):
            listing = _read_classes(place, reading)
        else:
            listing, said = (own or lists).listing(split, place)
            notes += said
        if split != "train" and not _has_classes(listing, splits["train"]):
            notes.append(_left_out(place))
            continue
        is_told = reading == "splits" or is_plain(place.name)
        splits[split] = _checked(listing, "" if is_told else _if_a_class(place))
    return Layout(root, splits, tuple(notes), (*suspicions(splits["train"], reading),))


def _is_sorted(place: Path) -> bool:
    """Whether the images lie in class folders."""
    folders = [path.name.lower() for path in visible_folders(place)]
    return len(folders) > 1 or (len(folders) == 1 and folders[0] not in UNSORTED)


def _has_classes(listing: Listing, train: Listing) -> bool:
    """Whether a folder beside ``train`` is sorted by class: competitions leave theirs unsorted."""
    unsorted = {*UNSORTED, listing.place.name.lower()} - {name.lower() for name in train.images}
    return any(name.lower() not in unsorted for name in listing.images)


def _left_out(place: Path) -> str:
    count = len(list_images(place))
    return (
        f"{place.name} has no class folders: its {count:,} images are left out; `eanet predict` "
        "can answer them"
    )


def _splits_within_classes(root: Path) -> Layout | None:
    """Read ``<class>/<split>/...``, if every class folder holds nothing but folders of splits."""
    found = {}
    for path in visible_folders(root):
        places = find_splits(path)
        if not places.are_split or any(map(is_image, visible_files(path))):
            return None
        found[readable(path.name)] = places
    if len(found) < 2:
        return None
    names = [s for s in SPLITS if any(s in places.splits for places in found.values())]
    splits = {
        split: Listing(
            root,
            {
                name: list_images(places.splits[split])
                for name, places in found.items()
                if split in places.splits
            },
            [],
        )
        for split in names
    }
    note = f"every class folder holds folders of splits, read as such: {', '.join(names)}"
    return Layout(root, splits, (note,))


def holds_class(root: Path, folder: Path, reading: LayoutName = "auto") -> bool:
    """Whether ``folder``, which need not exist, would be read as a class of the images in ``root``.

    Raises:
        EanetError: as in `read_folder`.
    """
    try:
        if not root.is_dir():
            return False
        found = find_splits(root, reading, find_lists(root).splits)
        places = [place.resolve() for place in found.splits.values()]
    except OSError as error:
        raise EanetError(f"cannot read {root} ({error.strerror})") from error
    return any(folder.resolve().is_relative_to(place) for place in places)


def _read_classes(folder: Path, reading: LayoutName) -> Listing:
    images: dict[str, list[Path]] = {}
    others = visible_files(folder)
    for path in visible_folders(folder):
        files = list_files(path)
        if reading != "parents":
            images[readable(path.name)] = []
        for file in files:
            if is_image(file):
                name = file.parent.name if reading == "parents" else path.name
                images.setdefault(readable(name), []).append(file)
            else:
                others.append(file)
    return Listing(folder, images, others)


def _if_a_class(place: Path) -> str:
    return f"; {place.name} is read as a split: if it is a class, use --layout classes"


def _checked(listing: Listing, otherwise: str = "") -> Listing:
    if not listing.images:
        raise EanetError(
            f"no class folders in {listing.place}: put the images of each class in a folder of its "
            "name, or name a list (.csv) with the columns path and label"
            f"{otherwise or names_hint(listing.others)}"
        )
    return listing
