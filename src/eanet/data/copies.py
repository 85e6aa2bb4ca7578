"""Images with the same or nearly the same pixels: in several splits, or of several classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from eanet.data.findings import Finding
from eanet.data.imageset import ImageSet

Sets = Mapping[str, ImageSet]
Place = tuple[str, int]
"""A split, and the index of an image in it."""


def find_duplicates(sets: Sets) -> list[list[Place]]:
    """Return groups of two or more images with the same pixels.

    Pixels are compared, not files, since a model sees only pixels: copies with other metadata or in
    another lossless format count.
    """
    groups: dict[bytes, list[Place]] = defaultdict(list)
    for split, images in sets.items():
        for index, digest in enumerate(images.digests()):
            groups[digest].append((split, index))
    return [group for group in groups.values() if len(group) > 1]


def copies(images: ImageSet) -> NDArray[np.int64]:
    """Return pairs of images with the same pixels, (m, 2): the first of them with each other."""
    groups = find_duplicates({"": images})
    pairs = [(first, row) for (_, first), *others in groups for _, row in others]
    return np.array(pairs, np.int64).reshape(-1, 2)


def copy_findings(
    sets: Sets, twins: NDArray[np.int64], avoidable: Collection[str]
) -> Iterator[Finding]:
    """Find held-out images that are as good as training images, and equal ones of several classes.

    Args:
        sets: the images by split, ``train`` first.
        twins: pairs of nearly the same images, (m, 2), counted through all sets.
        avoidable: splits drawn from the training images regardless of copies.
    """
    groups = find_duplicates(sets)
    same: dict[str, set[int]] = {split: set() for split in sets}
    for split, index in (place for group in groups if group[0][0] == "train" for place in group):
        same[split].add(index)
    near = {split: n - same[split] for split, n in _near_training(sets, twins).items()}
    yield from _leaks(sets, same, "the same pixels as training images", avoidable)
    yield from _leaks(sets, near, "near-duplicates among the training images", avoidable)
    torn = [g for g in groups if len({sets[split].labels[index] for split, index in g}) > 1]
    if torn:
        yield Finding(
            f"{sum(map(len, torn)):,} images have the same pixels as one of another class, so that "
            "some labels must be wrong",
            "",
            "`eanet datasets` lists them",
        )


def _leaks(
    sets: Sets, found: Mapping[str, set[int]], what: str, avoidable: Collection[str]
) -> Iterator[Finding]:
    counts = [
        f"{len(found[split]):,} of the {len(images):,} {split} images"
        for split, images in sets.items()
        if split != "train" and found[split]
    ]
    is_avoidable = any(found[split] for split in avoidable)
    remedy = (
        "--group auto keeps them on one side of splits that are drawn; " if is_avoidable else ""
    )
    if counts:
        yield Finding(
            f"{' and '.join(counts)} have {what}, which inflates the result",
            "group" if is_avoidable else "",
            remedy + "`eanet datasets` lists them",
        )


def _near_training(sets: Sets, twins: NDArray[np.int64]) -> dict[str, set[int]]:
    """Return the images of each split, by index, that a training image is nearly the same as."""
    splits, starts = list(sets), np.cumsum([0, *map(len, sets.values())])
    which = np.searchsorted(starts, twins, side="right") - 1  # (m, 2): the split of each
    is_train = which == splits.index("train")
    near: dict[str, set[int]] = {split: set() for split in splits}
    for one, other in ((0, 1), (1, 0)):
        for row in np.flatnonzero(is_train[:, other]):
            split = int(which[row, one])
            near[splits[split]].add(int(twins[row, one] - starts[split]))
    return near
