"""Training, validation and test images: what a source has of its own, and what is split off."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.errors import EanetError, unknown_name

TEST_FRACTION = 0.2


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a data set is loaded.

    Attributes:
        image_size: height and width in pixels; None: the source's natural size.
        data_dir: where archives are found or downloaded to; None: the folder that the environment
            variable EANET_DATA_DIR names, else the cache folder.
        validation_fraction: share of the training images to split off where the source has no
            validation images of its own; 0: none.
        validation_split: ``"stratified"`` draws from every class; ``"last"`` takes the last
            training images in their order, as ``validation_split`` of Keras does.
        split_seed: of the splits. Kept apart from the training seed, so that runs with other seeds
            meet the same test images.
    """

    image_size: int | None = None
    data_dir: Path | None = None
    validation_fraction: float = 0.1
    validation_split: Literal["stratified", "last"] = "stratified"
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < 1:
            raise EanetError(f"image_size must be 1 or more, not {self.image_size}")
        if not 0 <= self.validation_fraction < 1:
            raise EanetError(
                f"validation_fraction must be 0 or more and below 1, not {self.validation_fraction}"
            )
        if self.validation_split not in ("stratified", "last"):
            raise unknown_name("validation_split", self.validation_split, ("stratified", "last"))
        if self.split_seed < 0:
            raise EanetError(f"split_seed must be 0 or more, not {self.split_seed}")
        if self.data_dir is not None:
            object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser())


@dataclass(frozen=True)
class SourceSplits:
    """What a source has of its own.

    Attributes:
        train: images to learn from, and to split off what is missing.
        validation: None where the source has none.
        test: None where the source has none.
        notes: what people should know, in one line each.
        mirrorable: whether a mirrored image still shows its class; a digit or a letter does not.
    """

    train: ImageSet
    validation: ImageSet | None = None
    test: ImageSet | None = None
    notes: tuple[str, ...] = ()
    mirrorable: bool = True

    def resized(self, size: int | None) -> SourceSplits:
        """The same at ``size`` x ``size`` pixels; as it is where that is None."""
        if size is None:
            return self
        validation, test = self.validation, self.test
        return replace(
            self,
            train=self.train.resized(size),
            validation=None if validation is None else validation.resized(size),
            test=None if test is None else test.resized(size),
        )


@dataclass(frozen=True)
class Dataset:
    """The images of one run.

    Attributes:
        name: of the source, or of the folder.
        train: what the model learns from.
        validation: what the best epoch is chosen by; None where none was asked for.
        test: what the model is judged by.
        notes: what people should know, such as files skipped and splits made, in one line each.
        mirrorable: as in `SourceSplits`.
    """

    name: str
    train: ImageSet
    validation: ImageSet | None
    test: ImageSet
    notes: tuple[str, ...] = ()
    mirrorable: bool = True


def stratified_split(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split ``fraction`` of every class off: (indices kept, indices split off), both sorted.

    Where ``fraction`` is above 0, a class of two or more images has at least one on each side; the
    only image of a class is kept. The result depends on the arguments alone.
    """
    random = np.random.Generator(np.random.Philox(seed))
    split_off = np.zeros(len(labels), dtype=bool)
    if fraction > 0:
        for label in np.unique(labels):
            members = random.permutation(np.flatnonzero(labels == label))
            count = max(1, math.floor(len(members) * fraction + 0.5))
            split_off[members[: min(count, len(members) - 1)]] = True
    return np.flatnonzero(~split_off), np.flatnonzero(split_off)


def complete_splits(name: str, splits: SourceSplits, options: DataOptions) -> Dataset:
    """Split off the training images what the source lacks: the test first, then the validation.

    Every split made adds a note.

    Raises:
        EanetError: there are too few training images to split.
    """
    train, validation, test, notes = splits.train, splits.validation, splits.test, splits.notes
    if test is None:
        train, test = _split_off(train, "test", TEST_FRACTION, options.split_seed)
        notes += (_stratified_note("test", "testing", TEST_FRACTION, len(test), options),)
    fraction = options.validation_fraction
    if validation is None and fraction > 0:
        if options.validation_split == "last":
            train, validation = _last(train, fraction)
            notes += (
                f"no validation images: the last {100 * fraction:g} % of the training images "
                f"({len(validation)}) set aside for validation",
            )
        else:
            train, validation = _split_off(train, "validation", fraction, options.split_seed)
            notes += (
                _stratified_note("validation", "validation", fraction, len(validation), options),
            )
    return Dataset(name, train, validation, test, notes, splits.mirrorable)


def _split_off(train: ImageSet, what: str, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    kept, split_off = stratified_split(train.labels, fraction, seed)
    if not len(split_off):
        raise EanetError(
            f"too few training images ({len(train)}) to set some aside for {what}: "
            "every class needs two or more"
        )
    return train.subset(kept), train.subset(split_off)


def _stratified_note(
    what: str, purpose: str, fraction: float, count: int, options: DataOptions
) -> str:
    return (
        f"no {what} images: {100 * fraction:g} % of the training images ({count}) set aside for "
        f"{purpose}, stratified, by split seed {options.split_seed}"
    )


def _last(train: ImageSet, fraction: float) -> tuple[ImageSet, ImageSet]:
    boundary = math.floor(len(train) * (1 - fraction))
    before, after = np.split(np.arange(len(train)), [boundary])
    lost = np.setdiff1d(train.labels, train.labels[before])
    if len(lost):
        raise EanetError(
            f"validation_split 'last' would leave class {train.classes[lost[0]]!r} without "
            "training images; use 'stratified'"
        )
    return train.subset(before), train.subset(after)
