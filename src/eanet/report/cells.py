"""The images behind the cells of a confusion matrix: as many as a page has room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.metrics.evaluation import Evaluation
from eanet.pages.images import SheetImage
from eanet.report.images import sheet_images
from eanet.text import isolated

MOST = 240  # images of a page behind its cells, some 3 kB each
MOST_OF_CELL = 12
SIDE = 96  # largest, in pixels

Cell = tuple[int, int]  # true class, predicted class


@dataclass(frozen=True)
class CellImages:
    """Images of one true class that are taken for one class.

    Attributes:
        true: name of the class.
        predicted: name of the class that they are taken for.
        count: of all such images.
        images: some of them, for mistakes the most confident first, otherwise the least.
    """

    true: str
    predicted: str
    count: int
    images: list[SheetImage]

    @property
    def title(self) -> str:
        """What the cell counts, in words."""
        true, predicted = isolated(self.true), isolated(self.predicted)
        verdict = "correct" if true == predicted else f"taken for {predicted}"
        return f"{true}, {verdict}: {self.count:,} image{'' if self.count == 1 else 's'}"


def cell_images(evaluation: Evaluation, images: ImageSet) -> dict[Cell, CellImages]:
    """Choose images of cells, so that each cell has one before any has two; mistakes come first."""
    members = _members(evaluation)
    cells = sorted(members, key=lambda cell: (cell[0] == cell[1], -len(members[cell])))
    chosen: dict[Cell, list[int]] = {}
    for cell, index in islice(_in_turn(cells, members), MOST):
        chosen.setdefault(cell, []).append(index)
    names = evaluation.classes
    return {
        (true, predicted): CellImages(
            names[true],
            names[predicted],
            len(members[true, predicted]),
            sheet_images(indices, evaluation, images, largest=SIDE),
        )
        for (true, predicted), indices in chosen.items()
    }


def _members(evaluation: Evaluation) -> dict[Cell, NDArray[np.int64]]:
    """Return the indices of each cell's images in the order to show them in."""
    confidence = evaluation.probabilities.max(axis=1)
    is_right = evaluation.labels == evaluation.predicted
    order = np.argsort(np.where(is_right, confidence, -confidence), kind="stable")
    cells = evaluation.labels[order] * len(evaluation.classes) + evaluation.predicted[order]
    groups = np.argsort(cells, kind="stable")
    found, starts = np.unique(cells[groups], return_index=True)
    parts = np.split(order[groups], starts[1:])
    pairs = (divmod(int(cell), len(evaluation.classes)) for cell in found)
    return dict(zip(pairs, parts, strict=True))


def _in_turn(
    cells: list[Cell], members: dict[Cell, NDArray[np.int64]]
) -> Iterator[tuple[Cell, int]]:
    """Yield the first image of every mistaken cell, then the second, ...; then of the others."""
    for is_right in (False, True):
        for place in range(MOST_OF_CELL):
            for cell in cells:
                if (cell[0] == cell[1]) is is_right and place < len(members[cell]):
                    yield cell, int(members[cell][place])
