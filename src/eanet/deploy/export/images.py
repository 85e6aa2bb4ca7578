"""Images that an export needs: to compare answers on, and to calibrate and judge 8-bit ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eanet.data.evenly import evenly
from eanet.data.imageset import ImageSet
from eanet.deploy.export.program import Pixels

MOST = 256  # originals


@dataclass(frozen=True)
class OwnImages:
    """Images that belong to a model.

    Attributes:
        name: what ``images`` are, such as ``test images of photos``.
        images: to compare answers on.
        train: what it was trained on; None if there are none.
        validation: None if there are none.
    """

    name: str
    images: ImageSet
    train: ImageSet | None
    validation: ImageSet | None


@dataclass(frozen=True)
class Originals:
    """Images before they are made square.

    Attributes:
        name: what they are.
        images: files, or pixels (H, W, 3).
    """

    name: str
    images: Sequence[Path | Pixels]


def originals_of(own: OwnImages | None) -> Originals:
    """Take up to `MOST` images evenly from a model's own: their files, or else their pixels.

    Without any, these are parts of two photographs that come with scikit-learn, of many shapes.
    """
    if own is None:
        return Originals("parts of two photographs", list(_parts()))
    images = own.images
    places = images.images if images.files is None else images.files
    return Originals(own.name, [places[row] for row in evenly(range(len(images)), MOST)])


def _parts() -> Iterator[Pixels]:
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    for photograph in load_sample_images().images:
        full = np.array(photograph.shape[:2])
        for _ in range(MOST // 4):
            sides = np.exp(random.uniform(2, np.log(full))).astype(np.int64)
            top, left = random.integers(full - sides + 1)
            yield photograph[top : top + sides[0], left : left + sides[1]]
