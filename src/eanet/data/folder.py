"""Read the user's own images: a folder of class folders, a list, or an archive of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from eanet.data.archive import is_archive, unpacked
from eanet.data.filelist import is_list, read_list
from eanet.data.layout import (
    SPLITS,
    Layout,
    Listing,
    is_image,
    list_files,
    visible_files,
    visible_folders,
)
from eanet.errors import EanetError
from eanet.files import readable


@contextmanager
def open_layout(path: Path) -> Iterator[Layout]:
    """Find the images of a folder, a list or an archive, for as long as the block lasts.

    A folder is laid out as ``<class>/...`` or ``{train,val,test}/<class>/...``, or holds a list and
    no such folders. It may be nested in folders that hold only one folder. Classes are sorted by
    name. Errors raised in the block name an archive instead of the folder it is unpacked to.

    Raises:
        EanetError: it cannot be read, or has no images with classes.
    """
    with unpacked(path) if is_archive(path) else nullcontext(path) as place:
        yield _find_layout(place)


def _find_layout(path: Path) -> Layout:
    if is_list(path):
        return read_list(path)
    try:
        folder = _inner(path)
        lists = [file for file in visible_files(folder) if is_list(file)]
        if len(lists) == 1 and not _has_classes(folder):
            return read_list(lists[0])
        return read_folder(folder)
    except OSError as error:
        raise EanetError(f"cannot read {error.filename} ({error.strerror})") from error


def _inner(folder: Path) -> Path:
    """Descend through folders that hold only one folder to the classes, splits or lists."""
    folders, files = visible_folders(folder), visible_files(folder)
    if len(folders) != 1 or folders[0].name.lower() in SPLITS:
        return folder
    if any(is_image(file) or is_list(file) for file in files):
        return folder
    is_class = not visible_folders(folders[0]) and not any(map(is_list, visible_files(folders[0])))
    return folder if is_class else _inner(folders[0])


def _has_classes(folder: Path) -> bool:
    folders = visible_folders(folder)
    splits = [path for path in folders if path.name.lower() in SPLITS]
    return any(map(visible_folders, splits)) or len(folders) - len(splits) > 1


def read_folder(root: Path) -> Layout:
    """Read a folder laid out as ``<class>/...`` or ``{train,val,test}/<class>/...``.

    Raises:
        EanetError: there are no class folders, or no ``train`` beside other splits.
        OSError: a folder cannot be read.
    """
    folders, ignored = _split_folders(root)
    return Layout(root, {name: _read_split(path) for name, path in folders.items()}, ignored)


def _split_folders(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """Return the folder of each split, and the other folders beside them."""
    folders = visible_folders(root)
    named = [path for path in folders if path.name.lower() in SPLITS]
    # Among other class folders, a "train" without subfolders is a class: the vehicle.
    if not named or (len(named) < len(folders) and not any(map(visible_folders, named))):
        return {"train": root}, []
    splits: dict[str, Path] = {}
    for path in named:
        split = SPLITS[path.name.lower()]
        if split in splits:
            raise EanetError(f"{splits[split]} and {path} are both {split} images: keep one")
        splits[split] = path
    if "train" not in splits:
        raise EanetError(
            f"{root} has the split folder {named[0].name} but no train: put the training images in "
            f"{root / 'train'}/<class>/"
        )
    return splits, [path for path in folders if path not in named]


def holds_class(root: Path, folder: Path) -> bool:
    """Whether ``folder``, which need not exist, would be read as a class of the images in ``root``.

    Raises:
        EanetError: as in `read_folder`.
    """
    try:
        if not root.is_dir():
            return False
        places = [place.resolve() for place in _split_folders(root)[0].values()]
    except OSError as error:
        raise EanetError(f"cannot read {root} ({error.strerror})") from error
    return any(folder.resolve().is_relative_to(place) for place in places)


def _read_split(folder: Path) -> Listing:
    images: dict[str, list[Path]] = {}
    others = visible_files(folder)
    for path in visible_folders(folder):
        files = list_files(path)
        images[readable(path.name)] = [file for file in files if is_image(file)]
        others += [file for file in files if not is_image(file)]
    if not images:
        raise EanetError(
            f"no class folders in {folder}: put the images of each class in a folder of its name, "
            "or name a list (.csv) with the columns path and label"
        )
    return Listing(folder, images, others)
