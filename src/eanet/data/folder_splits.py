"""Which folders hold the splits of a data set, and which are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eanet.config import LayoutName
from eanet.data.findings import Finding
from eanet.data.layout import list_images, visible_files, visible_folders
from eanet.data.list_rows import is_list
from eanet.data.split_names import is_evaluation, is_pattern, is_plain, rest_of, split_meant
from eanet.errors import EanetError


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
            means a split for one.
        listed: splits whose images a list beside the folders names.

    Raises:
        EanetError: two folders are the same split, or there is none to train on.
        OSError: a folder cannot be read.
    """
    folders = visible_folders(root)
    named = {path: split for path in folders if (split := split_meant(path.name)) is not None}
    others = [path for path in folders if path not in named]
    if reading == "classes" or not named:
        return Places({"train": root})
    if reading != "splits" and not _are_splits(named, others, listed):
        findings: tuple[Finding, ...] = ()
        if any(split == "train" and visible_folders(path) for path, split in named.items()):
            text = f"the folders are read as classes ({', '.join(p.name for p in folders[:5])})"
            findings = (Finding(text, "layout", "--layout splits if they are not"),)
        return Places({"train": root}, findings=findings)
    splits, left = _one_each(named)
    if "train" not in splits:
        raise EanetError(
            f"{root} has the split folder {next(iter(splits.values())).name} but no train: put the "
            f"training images in {root / 'train'}/<class>/, or use --layout classes if it is a "
            "class"
        )
    notes = (*_beside(others + left),)
    told = {split: path.name for split, path in splits.items() if not is_plain(path.name)}
    if told:
        read = ", ".join(f"{name} is {split}" for split, name in told.items())
        notes = (f"read as splits: {read}", *notes)
    return Places(splits, notes, are_split=True)


def _are_splits(named: Mapping[Path, str], others: Sequence[Path], listed: Sequence[str]) -> bool:
    """Decide by the names of the folders and by what is in them.

    Among other class folders, a "train" may be a class: the vehicle.
    """
    train = [path for path, split in named.items() if split == "train"]
    are_exact = not any(rest_of(path.name) for path in named)
    if not train:
        return are_exact and (not others or any(map(visible_folders, named)))
    is_filled = "train" in listed or any(
        visible_folders(path) or any(map(is_list, visible_files(path))) for path in train
    )
    has_others_to_test = len(set(named.values())) > 1
    if not others:
        return has_others_to_test or len(train) == 1
    if not is_filled:
        return False
    if has_others_to_test:
        return are_exact or is_pattern(path.name for path in named)
    # Others that are laid out as "train" is, with folders in them, are as good classes as it is.
    return sum(bool(visible_folders(path)) and bool(list_images(path)) for path in others) < 2


def _one_each(named: Mapping[Path, str]) -> tuple[dict[str, Path], list[Path]]:
    """Return the folder of each split, and those that are none beside a better named one."""
    splits: dict[str, Path] = {}
    left = []
    means_test = [path for path, split in named.items() if split == "test"]
    evaluations = [path for path in means_test if is_evaluation(path.name)]
    if len(evaluations) < len(means_test) and "validation" not in named.values():
        named = {**named, **dict.fromkeys(evaluations, "validation")}
    for split in ("train", "validation", "test"):
        paths = [path for path in named if named[path] == split]
        exact = [path for path in paths if not rest_of(path.name)]
        if len(paths) > 1 and len(exact) != 1:
            raise EanetError(f"{paths[0]} and {paths[1]} are both {split} images: keep one")
        if paths:
            splits[split] = exact[0] if len(paths) > 1 else paths[0]
            left += [path for path in paths if path != splits[split]]
    return splits, left


def _beside(folders: Sequence[Path]) -> list[str]:
    if not folders:
        return []
    names = ", ".join(path.name for path in folders[:5])
    more = f" and {len(folders) - 5} more" if len(folders) > 5 else ""
    return [
        f"ignored next to the split folders: {names}{more} (--layout classes takes every folder "
        "for a class)"
    ]
