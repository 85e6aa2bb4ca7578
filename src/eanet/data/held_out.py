"""Hold images out of those to train on: the splits that a source lacks, or a fold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eanet.config import DataSettings, ValidationSettings
from eanet.data.copies import copies, copy_findings
from eanet.data.folds import fold_numbers
from eanet.data.groups import AUTO, NEVER, Groups, grouped_split, linked, share_codes
from eanet.data.imageset import ImageSet
from eanet.data.near_duplicates import MOST_IMAGES, near_duplicates
from eanet.data.record import CODES, UNKNOWN, ImageRecord, is_seen
from eanet.data.splits import Dataset, SourceSplits, by_split
from eanet.errors import EanetError, WrongArgumentError
from eanet.text import some

TEST_FRACTION = 0.2


def stratified_split(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split ``fraction`` off every class: (remaining indices, indices split off), both sorted.

    If ``fraction`` is above 0, a class of two or more images has at least one on each side; the
    only image of a class remains. The result depends only on the arguments.
    """
    random = np.random.Generator(np.random.Philox(seed))
    split_off = np.zeros(len(labels), dtype=bool)
    if fraction > 0:
        for label in np.unique(labels):
            members = random.permutation(np.flatnonzero(labels == label))
            count = max(1, math.floor(len(members) * fraction + 0.5))
            split_off[members[: min(count, len(members) - 1)]] = True
    return np.flatnonzero(~split_off), np.flatnonzero(split_off)


def complete_splits(
    name: str, splits: SourceSplits, settings: DataSettings, start: ImageRecord | None = None
) -> Dataset:
    """Split missing sets off the training images: first test, then validation.

    Every such split adds a note. Images that belong together stay on one side. Images that the
    model to begin with was tested or validated on are so again (where the last ones validate, only
    if they are among these); none that it was trained on is, and none that it was validated on is
    for testing. With ``settings.fold``, that fold of the training images is the test, and test
    images of the source are left out.

    Args:
        name: of the data set.
        splits: those that its source provides.
        settings: how to split.
        start: the images of the run that the model to begin with comes from.

    Raises:
        EanetError: there are too few training images to split, or none that the model to begin with
            has not seen; the last ones would validate, and it was trained on some of them.
    """
    train, validation, test, notes = splits.train, splits.validation, splits.test, splits.notes
    fraction, seed = settings.validation_fraction, settings.split_seed
    is_own, total = splits.originals is not None, sum(map(len, splits.sets.values()))
    if total > MOST_IMAGES and is_own:
        notes += (f"near-duplicates are not looked for among {total:,} images: too many",)
    groups = groups_of(splits, settings)
    if groups is not None:
        train = replace(train, groups=groups)  # which whatever is drawn from them takes along
    left = np.arange(len(train))  # indices, so that what is left of train is copied only once
    codes = np.full(len(train), UNKNOWN, dtype=np.int8)
    if start is not None:
        codes = start.splits_of(train)
        if settings.fold is None:
            test, notes = _without_seen("test", test, start, notes)
        validation, notes = _without_seen("validation", validation, start, notes)
    settings.check_fold()
    if settings.fold is not None:
        left, held_out, note = _fold(splits, settings, groups, codes)
        codes[:] = UNKNOWN  # what the start was tested on is in the folds like all others
        test = train.subset(held_out)
        notes += (note,)
    elif test is None:
        left, held_out, note = _split_off(train, left, codes, "test", TEST_FRACTION, seed, groups)
        test = train.subset(held_out)
        notes += (note,)
    if validation is None and fraction > 0:
        if settings.validation_split == "last":
            left, held_out, note = _last(train, left, codes, fraction, groups)
        else:
            left, held_out, note = _split_off(
                train, left, codes, "validation", fraction, seed, groups
            )
        validation = train.subset(held_out)
        notes += (note,)
    if len(left) < len(train):
        train = train.subset(left)
    present = by_split(train, validation, test)
    notes += tuple(_unused(settings, set(splits.sets), set(present)))
    twins = near_duplicates(list(present.values()) if is_own else [])
    drawn = set(present) - set(splits.sets) | ({"test"} if settings.fold is not None else set())
    last = settings.validation_split == "last"
    notes += tuple(_absent(present, set(present) - set(splits.sets), last=last))
    findings = copy_findings(present, twins, set() if settings.group == AUTO else drawn)
    return Dataset(
        name,
        train,
        validation,
        test,
        notes,
        splits.mirrorable,
        splits.preprocessing,
        (*splits.findings, *findings),
    )


def _unused(settings: DataSettings, given: Set[str], present: Set[str]) -> Iterator[str]:
    """Yield which settings of splits change nothing, as the source has these splits already."""
    names = [*ValidationSettings.model_fields] if "validation" in given else []
    if present == given and settings.fold is None:
        names.append("split_seed")
    fields = DataSettings.model_fields
    changed = [name for name in names if getattr(settings, name) != fields[name].default]
    if changed:
        own = "validation images" if "validation" in given else "splits"
        yield f"the data has its own {own}: not used: {', '.join(changed)}"


def _absent(sets: Mapping[str, ImageSet], drawn: Set[str], *, last: bool) -> Iterator[str]:
    """Yield the classes that no image was held out of, of which a result says nothing."""
    for split, images in sets.items():
        if split in drawn and not (counts := images.counts()).all():
            why = "there are too few to set one aside"
            if last and split == "validation":  # in a folder, images are in the order of classes
                why = "the last images are of others; --validation-split stratified takes of each"
            names = [images.classes[label] for label in np.flatnonzero(counts == 0).tolist()]
            yield f"no {split} images of {some(names)}: {why}"


def groups_of(splits: SourceSplits, settings: DataSettings) -> Groups | None:
    """Return which training images belong together, (n,); None if nothing says so."""
    if settings.group == AUTO:
        # Near-duplicates are not looked for among small images, blank ones, or too many.
        pairs = np.concatenate([near_duplicates([splits.train]), copies(splits.train)])
        return linked(len(splits.train), pairs)
    return splits.train.groups


def folds_of(
    splits: SourceSplits, settings: DataSettings, groups: Groups | None
) -> NDArray[np.int64]:
    """Return the fold of each training image, (n,), as `fold_numbers` does.

    Raises:
        EanetError: a fold has no image.
    """
    folds = settings.folds or 0
    numbers = fold_numbers(splits.train.labels, folds, settings.split_seed, groups)
    filled = len(np.setdiff1d(numbers, NEVER))
    if filled < folds:
        raise EanetError(
            f"folds={folds}: there are images, or groups of them, for {filled} folds alone"
        )
    return numbers


def _fold(
    splits: SourceSplits, settings: DataSettings, groups: Groups | None, codes: NDArray[np.int8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return the indices to train on, those of the fold to hold out, and a note on these."""
    train, fold = splits.train, settings.fold
    if seen := int(is_seen(codes, "test").sum()):
        raise EanetError(
            f"the model to begin with has seen {seen:,} of these {len(train):,} images, so folds "
            "would test what it remembers: begin with another model, or --init none"
        )
    numbers = folds_of(splits, settings, groups)
    held_out = np.flatnonzero(numbers == fold)
    how = "stratified" if groups is None else "stratified, in whole groups"
    note = (
        f"fold {fold} of {settings.folds}: {len(held_out):,} of {len(train):,} images held out, "
        f"{how}, by split seed {settings.split_seed}"
    )
    if (never := numbers == NEVER).any():
        names = some([train.classes[label] for label in np.unique(train.labels[never]).tolist()])
        note += (
            f"; never held out, so that every run learns all classes: {never.sum():,} of {names}"
        )
    if splits.test is not None:
        note += f"; the {len(splits.test):,} test images are left out"
    return np.flatnonzero(numbers != fold), held_out, note


def _without_seen(
    what: str, images: ImageSet | None, start: ImageRecord, notes: tuple[str, ...]
) -> tuple[ImageSet | None, tuple[str, ...]]:
    """Leave out images that the model to begin with has seen nearer to training."""
    if images is None:
        return None, notes
    seen = is_seen(start.splits_of(images), what)
    if not seen.any():
        return images, notes
    if seen.all():
        raise EanetError(
            f"the model to begin with has seen all {len(images):,} {what} images: add others, or "
            "begin with another model"
        )
    note = f"{seen.sum():,} of the {len(images):,} {what} images left out: the model to begin "
    return images.subset(np.flatnonzero(~seen)), (*notes, f"{note}with has seen them")


def _split_off(
    train: ImageSet,
    left: NDArray[np.int64],
    codes: NDArray[np.int8],
    what: str,
    fraction: float,
    seed: int,
    groups: Groups | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return the indices ``left`` in ``train``, those held out for a split, and a note on these.

    Args:
        train: images.
        left: indices, (n,).
        codes: of the splits that images were in before, (all images,).
        what: the split to make.
        fraction: of the images that were in none.
        seed: of the split.
        groups: which images belong together, (all images,).
    """
    if groups is not None:
        codes = share_codes(codes, groups, UNKNOWN)
    of_left = codes[left]
    again, fresh = left[of_left == CODES[what]], left[of_left == UNKNOWN]
    if groups is None:
        _, drawn = stratified_split(train.labels[fresh], fraction, seed)
    else:
        rest = train.labels[left[of_left == CODES["train"]]]
        _, drawn = grouped_split(train.labels[fresh], groups[fresh], fraction, seed, rest)
    held_out = np.sort(np.concatenate([again, fresh[drawn]]))
    if not len(held_out):
        without = ", or use --validation-fraction 0" if what == "validation" else ""
        seen = " that the model to begin with has not seen" if len(fresh) < len(left) else ""
        units = "two" if groups is None else "two groups, one of them to spare"
        raise EanetError(
            f"too few training images{seen} ({len(fresh)}) to set some aside for {what}: no class "
            f"has {units}; add images{without}"
        )
    purpose = "testing" if what == "test" else what
    of = "training images" if len(fresh) == len(left) else "images new to the model to begin with"
    how = "stratified" if groups is None else "stratified, in whole groups"
    note = (
        f"no {what} images: {100 * fraction:g} % of the {of} ({len(drawn)}) set aside for "
        f"{purpose}, {how}, by split seed {seed}"
    )
    if len(again):
        note += f"; and the {len(again):,} that it had for {purpose}"
    return np.setdiff1d(left, held_out), held_out, note


def _last(
    train: ImageSet,
    left: NDArray[np.int64],
    codes: NDArray[np.int8],
    fraction: float,
    groups: Groups | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """As `_split_off` for validation, but the last images, as Keras does."""
    if groups is not None:
        raise WrongArgumentError(
            "validation_split 'last' does not keep groups together; use 'stratified'"
        )
    before, after = np.split(left, [math.floor(len(left) * (1 - fraction))])
    lost = np.setdiff1d(train.labels[left], train.labels[before])
    if len(lost):
        raise EanetError(
            f"validation_split 'last' would leave class {train.classes[lost[0]]!r} without "
            "training images; use 'stratified'"
        )
    if seen := int((codes[after] == CODES["train"]).sum()):
        raise EanetError(
            f"validation_split 'last' would validate on {seen:,} images that the model to begin "
            "with was trained on; use 'stratified'"
        )
    note = f"no validation images: the last {100 * fraction:g} % of the training images "
    return before, after, f"{note}({len(after)}) set aside for validation"
