"""Which folders hold the splits of a data set, and which are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eanet.config import LayoutName
from eanet.data.findings import Finding
from eanet.data.layout import list_images, visible_files, visible_folders
from eanet.data.list_rows import is_list
from eanet.data.split_names import SPLITS, is_evaluation, is_pattern, is_plain, rest_of, split_meant
from eanet.errors import EanetError
from eanet.text import some

# Folders of images that are not sorted by class, where class folders could be.
UNSORTED = {"images", "image", "imgs", "img", "unknown", "unlabelled", "unlabeled", "all", "data"}


@dataclass(frozen=True)
class Places:
    """Where the images of each split are.

    Attributes:
        splits: the folder of each split; ``train`` is always present.
        notes: what was read as a split or left out, in one line each.
        findings: what could have been read in another way.
        are_split: whether the folders were found by their names; otherwise ``train`` is all.
    """

    splits: dict[str, Path]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    are_split: bool = False


def find_splits(root: Path, reading: LayoutName = "auto", listed: Sequence[str] = ()) -> Places:
    """Return the folders of the splits.

    Args:
        root: the folder of the data set.
        reading: ``classes`` takes every folder for a class, ``splits`` every folder whose name
            means a split for one; with ``filenames``, images may lie in the latter as they are.
        listed: splits whose images a list beside the folders names.

    Raises:
        EanetError: two folders are the same split, or there is none to train on.
        OSError: a folder cannot be read.
    """
    folders = visible_folders(root)
    meant = {path: split for path in folders if (split := split_meant(path.name)) is not None}
    if reading == "classes" or not meant:
        return Places({"train": root})
    named = _plainest(meant)
    others = [path for path in folders if path not in named]
    if reading == "filenames":
        listed = (*listed, "train")  # needs no folders in it
    if reading != "splits" and not _are_splits(named, others, listed):
        findings: tuple[Finding, ...] = ()
        if any(map(visible_folders, meant)):
            text = f"the folders are read as classes ({', '.join(p.name for p in folders[:5])})"
            findings = (Finding(text, "layout", "--layout splits if they are not"),)
        return Places({"train": root}, findings=findings)
    splits = _one_each(named)
    if "train" not in splits:
        raise EanetError(
            f"{root} has the split folder {next(iter(splits.values())).name} but no train: put the "
            f"training images in {root / 'train'}/<class>/, or use --layout classes if it is a "
            "class"
        )
    notes = (*_beside(others),)
    told = {split: path.name for split, path in splits.items() if not is_plain(path.name)}
    if told:
        read = ", ".join(f"{name} is {split}" for split, name in told.items())
        notes = (f"read as splits: {read}", *notes)
    inner = {split: _inner(path, split) for split, path in splits.items()}
    return Places(inner, notes, are_split=True)


def _inner(folder: Path, split: str) -> Path:
    """Descend where a folder holds only one of such a name, as in ``seg_train/seg_train``."""
    folders = visible_folders(folder)
    if len(folders) != 1 or not visible_folders(folders[0]):
        return folder
    is_wrapping = split_meant(folders[0].name) == split or folders[0].name.lower() in UNSORTED
    return _inner(folders[0], split) if is_wrapping else folder


def _plainest(meant: Mapping[Path, str]) -> dict[Path, str]:
    """Leave out ``train_masks`` beside ``train``, which has nothing but the split in its name."""
    kept = {}
    for path, split in meant.items():
        rivals = [other for other in meant if meant[other] == split]
        plain = [other for other in rivals if not rest_of(other.name)]
        if len(plain) != 1 or path in plain:
            kept[path] = split
    return kept


def _are_splits(named: Mapping[Path, str], others: Sequence[Path], listed: Sequence[str]) -> bool:
    """Decide by the names of the folders and by what is in them.

    Among other class folders, a "train" may be a class: the vehicle.
    """
    train = [path for path, split in named.items() if split == "train"]
    are_exact = not any(rest_of(path.name) for path in named)
    are_several = len(set(named.values())) > 1
    if not train:
        return are_exact and (are_several or not others)
    is_filled = "train" in listed or any(
        visible_folders(path) or any(map(is_list, visible_files(path))) for path in train
    )
    if not others:
        return are_several or len(train) == 1
    if not is_filled:
        return False
    if are_several:
        return are_exact or is_pattern(path.name for path in named)
    # Others that are laid out as "train" is, with folders in them, are as good classes as it is.
    return sum(bool(visible_folders(path)) and bool(list_images(path)) for path in others) < 2


def _one_each(named: Mapping[Path, str]) -> dict[str, Path]:
    """Return the folder of each split.

    Raises:
        EanetError: there are two.
    """
    means_test = [path for path, split in named.items() if split == "test"]
    evaluations = [path for path in means_test if is_evaluation(path.name)]
    if len(evaluations) < len(means_test) and "validation" not in named.values():
        named = {**named, **dict.fromkeys(evaluations, "validation")}
    splits: dict[str, Path] = {}
    for split in SPLITS:
        paths = [path for path in named if named[path] == split]
        if len(paths) > 1:
            raise EanetError(f"{paths[0]} and {paths[1]} are both {split} images: keep one")
        if paths:
            splits[split] = paths[0]
    return splits


def _beside(folders: Sequence[Path]) -> list[str]:
    if not folders:
        return []
    names = some([path.name for path in folders])
    return [
        f"ignored next to the split folders: {names} (--layout classes takes every folder for a "
        "class)"
    ]
