"""What tells classes, or splits, of image files apart without a look at what they show.

If the cats are PNG files and the dogs are not, or have another size, a network can go by the traces
that this leaves in the pixels: shortcut learning (Geirhos et al., 2020, arXiv 2004.07780). Its
result on images of the same origin does not show that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eanet.data.decode import Original
from eanet.data.findings import Finding

LEAST = 10  # images of a class or split, and of the others
FAR = 0.5  # between the shares of images with a trait
SURE = 5  # standard errors between them: by chance in hardly any of many classes, sizes and sets
MOST_VALUES = 1000  # of a trait, the most frequent ones

TRAITS: tuple[Callable[[Original], str], ...] = (
    lambda image: f"{image.format} files",
    lambda image: {"RGB": "in colour", "L": "grey"}.get(image.mode, f"of mode {image.mode}"),
    lambda image: f"of {image.width:,} x {image.height:,} pixels",
)


class Difference(NamedTuple):
    """How many images of a class or split, and of the others, have a trait."""

    code: int
    trait: str
    have: int
    images: int
    others_have: int
    others: int

    def of(self, name: str) -> str:
        """Return it in words, with what the images of the class or split are called."""
        return (
            f"{self.have:,} of the {self.images:,} {name} are {self.trait}, "
            f"{self.others_have:,} of the {self.others:,} others"
        )


def shortcuts(
    originals: Sequence[Original],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    splits: NDArray[np.int64],
    names: Sequence[str],
) -> Iterator[Finding]:
    """Yield for each kind of trait the class, and the split, that it tells apart the most.

    Args:
        originals: the n images.
        labels: the class of each, (n,).
        classes: the class names.
        splits: the split of each, (n,).
        names: the names of the splits, training images first.
    """
    for trait in TRAITS:
        values = np.unique(
            [trait(original) for original in originals], return_inverse=True, return_counts=True
        )
        if found := _largest(*values, labels):
            yield Finding(
                found.of(f"images of {classes[found.code]!r}"),
                "",
                "a model may go by that instead of what they show; make them alike, or see with "
                "eanet explain what it looks at",
            )
        if found := _largest(*values, splits, first=1):
            yield Finding(
                found.of(f"{names[found.code]} images"),
                "",
                "the result may be worse, or better, for that reason alone",
            )


def _largest(
    words: NDArray[np.str_],
    codes: NDArray[np.intp],
    counts: NDArray[np.intp],
    sets: NDArray[np.int64],
    first: int = 0,
) -> Difference | None:
    """Find the set, of those from ``first`` on, that a value tells apart from the others most.

    Args:
        words: the values, (v,).
        codes: which of them each image has, (n,).
        counts: how many images have each, (v,).
        sets: the class or split of each image, (n,).
        first: of the sets that are looked at.
    """
    kept = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    table = np.zeros((sets.max(initial=0) + 1, len(words)), dtype=np.int64)  # (sets, values)
    np.add.at(table, (sets, codes), 1)
    images, table = table.sum(1)[:, None], table[:, kept]
    others, others_have = len(sets) - images, table.sum(0) - table
    with np.errstate(divide="ignore", invalid="ignore"):
        more = table / images - others_have / others  # (sets, values)
        gap = np.abs(more)
        share = table.sum(0) / len(sets)  # (values,)
        error = np.sqrt(share * (1 - share) * (1 / images + 1 / others))
        is_told = (gap >= FAR) & (gap >= SURE * error) & (np.minimum(images, others) >= LEAST)
    is_told[:first] = False
    if not is_told.any():
        return None
    # Of two that are as far apart, what the set has is easier to see than what it lacks.
    best = np.where(is_told, gap + 1e-9 * (more > 0), 0).argmax()
    row, column = (int(i) for i in np.unravel_index(best, gap.shape))
    return Difference(
        row,
        str(words[kept[column]]),
        int(table[row, column]),
        int(images[row, 0]),
        int(others_have[row, column]),
        int(others[row, 0]),
    )
