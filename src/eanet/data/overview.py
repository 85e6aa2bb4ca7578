"""A first look at a data set before training: its contents and its problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.data.duplicates import Place, find_duplicates
from eanet.data.splits import SourceSplits
from eanet.files import write_csv


@dataclass(frozen=True)
class Overview:
    """A first look at a data set.

    Attributes:
        name: name of the data set.
        splits: the splits that it provides.
        duplicates: groups of images with the same pixels; groups across splits come first, then
            groups across classes.
    """

    name: str
    splits: SourceSplits
    duplicates: tuple[tuple[Place, ...], ...]

    @property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Number of images per class, (K,), by split."""
        return {split: images.counts() for split, images in self.splits.sets.items()}

    @property
    def sizes(self) -> dict[str, tuple[int, int, int]]:
        """Minimum, median and maximum ``width`` and ``height`` of the files in pixels."""
        if self.splits.originals is None:
            return {}
        return {
            name: (int(side.min()), round(float(np.median(side))), int(side.max()))
            for name, side in zip(("width", "height"), self.splits.originals.sizes.T, strict=True)
        }

    def class_of(self, place: Place) -> str:
        """Return the class of an image."""
        split, index = place
        images = self.splits.sets[split]
        return images.classes[int(images.labels[index])]

    def name_of(self, place: Place) -> str:
        """Return an image's file relative to the data set's folder, or its split and index."""
        split, index = place
        files, originals = self.splits.sets[split].files, self.splits.originals
        if files is None or originals is None:
            return f"{split} {index}"
        return originals.told(files[index])

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield each image that is unreadable, unlike the others or a copy, with its problem."""
        if self.splits.originals:
            for file, reason in self.splits.originals.skipped:
                yield self.splits.originals.told(file), f"unreadable: {reason}"
            for file, reason in self.splits.originals.odd:
                yield self.splits.originals.told(file), f"unlike the others: {reason}"
        for first, *others in self.duplicates:
            for other in others:
                about = ", of another class" if self.class_of(other) != self.class_of(first) else ""
                yield self.name_of(other), f"same pixels as {self.name_of(first)}{about}"


def overview(name: str, splits: SourceSplits) -> Overview:
    """Summarise a data set as returned by `eanet.data.source.Source.load_splits`."""
    found = Overview(name, splits, ())

    def gravity(group: list[Place]) -> tuple[int, int]:
        spread = len({split for split, _ in group}), len({found.class_of(p) for p in group})
        return -spread[0], -spread[1]

    groups = sorted(find_duplicates(splits.sets), key=gravity)
    return Overview(name, splits, tuple(map(tuple, groups)))


def write_problems(found: Overview, path: Path) -> Path:
    """Write every problem as CSV with the columns ``image`` and ``problem``.

    Raises:
        EanetError: the file cannot be written.
    """
    return write_csv(path, ("image", "problem"), found.problems())
