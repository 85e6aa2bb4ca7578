"""Groups: images that belong together, such as those of one scene, kept on one side of a split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from eanet.data.layout import Listing, relative
from eanet.errors import WrongArgumentError

AUTO = "auto"
"""The value of the setting ``group`` by which near-duplicates are grouped."""

NEVER = 0
"""Turn, or fold, of what is never held out."""

Groups = NDArray[np.int64]
NO_CLASSES = np.empty(0, np.int64)


def linked(count: int, pairs: NDArray[np.int64]) -> Groups:
    """Return groups (n,) of ``count`` images, of which ``pairs`` (m, 2) belong together."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def number_groups(names: Iterable[str | None]) -> Groups:
    """Return the groups of images, (n,), by their names; one without a name is by itself."""
    numbers: dict[object, int] = {}
    keys = [index if name is None else name for index, name in enumerate(names)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def group_names(
    group: str, files: Sequence[Path], listing: Listing, root: Path
) -> list[str | None]:
    """Return the name of each file's group by a column of the list or a pattern in its path.

    Args:
        group: name of the column, or a regular expression; what its first parenthesis matches, or
            the whole match, names the group.
        files: the images.
        listing: with the column, if the list has it.
        root: the folder that paths are matched relative to.

    Returns:
        None for an image without a group.

    Raises:
        EanetError: it is no regular expression.
    """
    if listing.groups:
        return [listing.groups.get(file) for file in files]
    pattern = _compiled(group)
    found = [pattern.search(relative(file, root).as_posix()) for file in files]
    return [(m and (m.group(1) if pattern.groups else m.group())) or None for m in found]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise WrongArgumentError(f"group={pattern}: no regular expression ({error})") from error


def share_codes(codes: NDArray[np.int8], groups: Groups, unknown: int) -> NDArray[np.int8]:
    """Return codes (n,) in which those that are ``unknown`` have the lowest code of their group."""
    shared = codes.copy()
    for code in np.unique(codes[codes != unknown]):
        shared[np.isin(groups, groups[codes == code]) & (shared == unknown)] = code
    return shared


def majority_classes(
    labels: NDArray[np.int64], groups: Groups
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the groups of images, counted from 0, (n,), and the main class of each, (g,)."""
    ids, members = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(np.stack([members, labels], axis=1), axis=0, return_counts=True)
    classes = np.empty(len(ids), dtype=np.int64)
    # The pair with the most images is written last; of equals, that of the first class.
    order = np.lexsort((-pairs[:, 1], counts))
    classes[pairs[order, 0]] = pairs[order, 1]
    return members, classes


def keep_every_class(
    held_out: NDArray[np.int64],
    members: Groups,
    labels: NDArray[np.int64],
    rest: NDArray[np.int64] = NO_CLASSES,
) -> NDArray[np.int64]:
    """Return when groups are held out, (g,), such that none is the last of one of ``labels``.

    Of a class whose images would all be held out at once, the smallest group never is.

    Args:
        held_out: at which turn each group is, from 1, (g,); `NEVER`: at none.
        members: groups of images, counted from 0, (n,).
        labels: classes of the images, (n,).
        rest: classes that other images have which are never held out, (m,).
    """
    kept, sizes = held_out.copy(), np.bincount(members)
    for label in np.setdiff1d(labels, rest):
        own = np.unique(members[labels == label])
        turns = np.unique(kept[own])
        if len(turns) == 1 and turns[0] != NEVER:
            kept[own[np.argmin(sizes[own])]] = NEVER
    return kept


def grouped_split(
    labels: NDArray[np.int64],
    groups: Groups,
    fraction: float,
    seed: int,
    rest: NDArray[np.int64] = NO_CLASSES,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split about ``fraction`` off every class in whole groups: (remaining, split off), sorted.

    A group belongs to the class that most of its images have. A class of two or more groups has at
    least one on each side; the only group of a class remains, and so does one that holds the last
    images of another class. The result depends only on the arguments.

    Args:
        labels: classes of the images, (n,).
        groups: which images belong together, (n,).
        fraction: of each class.
        seed: another one splits in another way.
        rest: as for `keep_every_class`.
    """
    random = np.random.Generator(np.random.Philox(seed))
    members, classes = majority_classes(labels, groups)
    sizes = np.bincount(members)
    orders = [random.permutation(np.flatnonzero(classes == k)) for k in np.unique(classes)]
    is_kept = np.zeros(len(classes), dtype=bool)
    while True:
        turns = np.full(len(classes), NEVER)
        for of_class in orders:
            target = fraction * sizes[of_class].sum()
            free = of_class[~is_kept[of_class]]
            turns[_fill(free, sizes, target, len(of_class) - 1)] = 1
        kept = keep_every_class(turns, members, labels, rest)
        if np.array_equal(kept, turns):
            split_off = turns[members] != NEVER
            return np.flatnonzero(~split_off), np.flatnonzero(split_off)
        is_kept |= kept != turns  # and others are drawn in their place


def _fill(
    groups: NDArray[np.int64], sizes: NDArray[np.int64], target: float, most: int
) -> list[int]:
    """Return groups of about ``target`` images together: at least one, at most ``most``."""
    taken: list[int] = []
    total = 0
    for group in groups.tolist():
        is_closer = abs(total + sizes[group] - target) <= abs(total - target)
        if is_closer and len(taken) < most:
            taken.append(group)
            total += int(sizes[group])
    if not taken and most and len(groups):
        taken.append(min(groups.tolist(), key=lambda group: int(sizes[group])))
    return taken
