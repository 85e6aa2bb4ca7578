"""Training, validation and test images: the splits of a source, and the images of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eanet.data.findings import Finding
from eanet.data.imageset import ImageSet
from eanet.data.layout import relative
from eanet.data.levels import Depth
from eanet.data.near_duplicates import near_duplicates
from eanet.data.split_names import SPLITS
from eanet.model_files.preprocessing import DEFAULT, Preprocessing
from eanet.pages.notebook import show


def by_split(*sets: ImageSet | None) -> dict[str, ImageSet]:
    """Return training, validation and test images by these names, without what there is not."""
    named = zip(SPLITS, sets, strict=True)
    return {split: images for split, images in named if images is not None}


@dataclass(frozen=True)
class Originals:
    """Properties of the files of a source before they were decoded.

    Attributes:
        root: the folder that file names are reported relative to.
        sizes: width and height in pixels of each readable image, (n, 2).
        modes: Pillow's mode of each readable image.
        skipped: unreadable files, with the reason.
        outliers: files unlike the others, with the reason.
        blank: number of images of a single colour.
        clear: number of images whose every pixel is fully transparent.
        depths: the values of each image that is deep.
    """

    root: Path
    sizes: NDArray[np.int64]
    modes: tuple[str, ...]
    skipped: tuple[tuple[Path, str], ...]
    outliers: tuple[tuple[Path, str], ...]
    blank: int = 0
    clear: int = 0
    depths: tuple[Depth, ...] = ()

    def relative(self, file: Path) -> str:
        """Return the path of a file relative to ``root``; unchanged if it lies elsewhere."""
        return str(relative(file, self.root))


@dataclass(frozen=True)
class SourceSplits:
    """The splits that a source provides.

    Attributes:
        train: images to train on, from which missing splits are taken.
        validation: None if the source has none.
        test: None if the source has none.
        notes: what the user should know, in one line each.
        mirrorable: whether a mirrored image still shows its class; a digit or a letter does not.
        originals: None if the images are not from files.
        preprocessing: how the images became pixels.
        findings: what could make a result worse, or look better, than it is.
    """

    train: ImageSet
    validation: ImageSet | None = None
    test: ImageSet | None = None
    notes: tuple[str, ...] = ()
    mirrorable: bool = True
    originals: Originals | None = None
    preprocessing: Preprocessing = DEFAULT
    findings: tuple[Finding, ...] = ()

    @property
    def sets(self) -> dict[str, ImageSet]:
        """The splits present, keyed by ``train``, ``validation`` and ``test``."""
        return by_split(self.train, self.validation, self.test)

    @cached_property
    def near_duplicates(self) -> NDArray[np.int64]:
        """Pairs of images that are nearly the same, (m, 2), counted through `sets`."""
        return near_duplicates(list(self.sets.values()))

    def resized(self, size: int | None) -> SourceSplits:
        """Resize all splits to ``size`` x ``size`` pixels; None: leave them unchanged."""
        if size is None:
            return self
        resized: dict[str, Any] = {name: images.resized(size) for name, images in self.sets.items()}
        return replace(self, **resized)


@dataclass(frozen=True, repr=False)
class Dataset:
    """The images of one run.

    Attributes:
        name: name of the source or folder.
        train: what the model learns from.
        validation: what the best epoch is chosen by; None if not requested.
        test: what the model is judged by.
        notes: what the user should know, such as files skipped, in one line each.
        mirrorable: as in `SourceSplits`.
        preprocessing: how the images became pixels, as those to predict have to.
        findings: as in `SourceSplits`.
    """

    name: str
    train: ImageSet
    validation: ImageSet | None
    test: ImageSet
    notes: tuple[str, ...] = ()
    mirrorable: bool = True
    preprocessing: Preprocessing = DEFAULT
    findings: tuple[Finding, ...] = ()

    @property
    def sets(self) -> dict[str, ImageSet]:
        """The image sets by split, without validation images if there are none."""
        return by_split(self.train, self.validation, self.test)

    def __repr__(self) -> str:
        return f"Dataset({self._summary})"

    def _repr_html_(self) -> str:
        counts = {split: images.counts() for split, images in self.sets.items()}
        table = [
            {"class": name, **{split: f"{count[label]:,}" for split, count in counts.items()}}
            for label, name in enumerate(self.train.classes)
        ]
        return show(
            f"Dataset {self._summary}",
            tables={"images by class": table},
            sheets={"some of the training images": self.train.sheet()},
            notes=(*self.notes, *map(str, self.findings)),
        )

    @property
    def _summary(self) -> str:
        parts = [f"{len(images):,} {split}" for split, images in self.sets.items()]
        size, count = self.train.image_size, len(self.train.classes)
        images = f"{', '.join(parts)} images of {size} x {size} pixels"
        return f"{self.name}: {images} in {count:,} classes"
