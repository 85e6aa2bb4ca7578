"""What a model answers to each image of an evaluation, as columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.metrics.evaluation import MANY_CLASSES, Evaluation


def prediction_columns(
    evaluation: Evaluation, images: ImageSet, folds: NDArray[np.int64] | None = None
) -> dict[str, list[Any]]:
    """Return name, true and predicted class, and the latter's probability, for each image.

    With fewer than 20 classes, the probability of each follows, as ``P(class)``. With a detector of
    unknown images, also the distance from the training images; with cross-validation, also the
    fold.

    Args:
        evaluation: of the images.
        images: n of them.
        folds: the fold of each, (n,).
    """
    names = evaluation.classes
    columns: dict[str, list[Any]] = {
        "image": image_names(images),
        "true": [names[k] for k in evaluation.labels.tolist()],
        "predicted": [names[k] for k in evaluation.predicted.tolist()],
        "probability": evaluation.probabilities.max(axis=1).tolist(),
    }
    if len(names) < MANY_CLASSES:
        for name, probabilities in zip(names, evaluation.probabilities.T, strict=True):
            columns[f"P({name})"] = probabilities.tolist()
    if evaluation.distance is not None:
        columns["distance"] = evaluation.distance.tolist()
    if folds is not None:
        columns["fold"] = folds.tolist()
    return columns


def image_names(images: ImageSet) -> list[str]:
    """Return the file of each image, or its number if it is from none."""
    return (
        [str(i) for i in range(len(images))]
        if images.files is None
        else [str(file) for file in images.files]
    )
