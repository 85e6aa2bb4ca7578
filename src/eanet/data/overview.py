"""An overview of a data set before training: its contents and its problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.data.copies import Place, find_duplicates
from eanet.data.splits import SourceSplits
from eanet.files import write_csv


@dataclass(frozen=True)
class Overview:
    """An overview of a data set.

    Attributes:
        name: name of the data set.
        splits: the splits that it provides.
    """

    name: str
    splits: SourceSplits

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

    @cached_property
    def duplicates(self) -> list[list[Place]]:
        """Groups of images with the same pixels: first those across splits, then across classes."""

        def spread(group: list[Place]) -> tuple[int, int]:
            splits, classes = {split for split, _ in group}, set(map(self.class_of, group))
            return len(splits), len(classes)

        return sorted(find_duplicates(self.splits.sets), key=spread, reverse=True)

    @cached_property
    def near_duplicates(self) -> list[tuple[Place, Place]]:
        """Each image that is nearly the same as an earlier one, with that one.

        Copies are left out. First come those across splits.
        """
        places = [(s, i) for s, images in self.splits.sets.items() for i in range(len(images))]
        twins: dict[Place, Place] = {}
        for one, other in self.splits.near_duplicates:
            first, later = places[one], places[other]
            is_across = later in twins and twins[later][0] != later[0]
            if not is_across and not self._are_copies(first, later):
                twins[later] = first
        return sorted(twins.items(), key=lambda pair: pair[0][0] == pair[1][0])

    def _are_copies(self, one: Place, other: Place) -> bool:
        sets = self.splits.sets
        return bool((sets[one[0]].images[one[1]] == sets[other[0]].images[other[1]]).all())

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
        return originals.relative(files[index])

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what was found about all images, then each that is unreadable, odd or a copy."""
        for finding in self.splits.findings:
            yield "all images", str(finding)
        if originals := self.splits.originals:
            for file, reason in originals.skipped:
                yield originals.relative(file), f"unreadable: {reason}"
            for file, reason in originals.outliers:
                yield originals.relative(file), f"unlike the others: {reason}"
        for first, *others in self.duplicates:
            for other in others:
                yield self.name_of(other), f"same pixels as {self._told(first, other)}"
        for later, first in self.near_duplicates:
            yield self.name_of(later), f"nearly the same as {self._told(first, later)}"

    def _told(self, one: Place, other: Place) -> str:
        """Name an image, and say if its class differs from that of another."""
        differs = self.class_of(one) != self.class_of(other)
        return self.name_of(one) + (", of another class" if differs else "")

    def write_problems(self, path: Path) -> Path:
        """Write every problem as CSV with the columns ``image`` and ``problem``.

        Raises:
            EanetError: the file cannot be written.
        """
        return write_csv(path, ("image", "problem"), self.problems())
