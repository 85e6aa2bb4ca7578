"""Folds: parts of the training images, each held out in turn by another run (cross-validation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eanet.data.groups import NEVER, Groups, keep_every_class, majority_classes


def fold_numbers(
    labels: NDArray[np.int64], folds: int, seed: int, groups: Groups | None = None
) -> NDArray[np.int64]:
    """Return the fold of each image, (n,), from 1; 0: it is in none.

    Groups stay whole, and every class is spread over the folds as evenly as whole groups can be. A
    group belongs to the class that most of its images have. No fold has all images of a class,
    since the run that held it out would not learn the class: a group of these is in none. The
    result depends only on the arguments.

    Args:
        labels: classes of the images, (n,).
        folds: how many.
        seed: another one makes other folds.
        groups: which images belong together, (n,); None: each is by itself.
    """
    random = np.random.Generator(np.random.Philox(seed))
    members, classes = majority_classes(
        labels, np.arange(len(labels)) if groups is None else groups
    )
    sizes = np.bincount(members)
    numbers, filled = np.full(len(sizes), NEVER, np.int64), np.zeros(folds, np.int64)
    for label in np.unique(classes):
        of_class = random.permutation(np.flatnonzero(classes == label))
        if len(of_class) < 2:
            continue
        of_fold = np.zeros(folds, np.int64)
        for group in of_class[np.argsort(-sizes[of_class], kind="stable")].tolist():
            fold = np.lexsort((filled, of_fold))[0]  # the least full, of this class and then of all
            numbers[group] = fold + 1
            of_fold[fold] += sizes[group]
            filled[fold] += sizes[group]
    return keep_every_class(numbers, members, labels)[members]
