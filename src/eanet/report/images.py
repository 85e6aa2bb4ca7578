"""The images of a report's page, embedded in the page itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.deploy.prediction import Prediction
from eanet.metrics.evaluation import Evaluation
from eanet.pages.images import LARGEST, SheetImage
from eanet.plots.names import cut_names

_LETTERS = 24  # of a class


def sheet_images(
    indices: Iterable[int],
    evaluation: Evaluation,
    images: ImageSet,
    *,
    distances: bool = False,
    largest: int = LARGEST,
    given: str = "true",
) -> list[SheetImage]:
    """Prepare images for a sheet.

    Args:
        indices: into ``images``.
        evaluation: of all ``images``.
        images: with or without file names.
        distances: also say how far they are from the training images.
        largest: side in pixels to which larger images are reduced.
        given: what to call the class that an image is said to be of.
    """
    return [_sheet_image(i, evaluation, images, distances, largest, given) for i in indices]


def _sheet_image(
    index: int,
    evaluation: Evaluation,
    images: ImageSet,
    distances: bool,
    largest: int,
    given: str,
) -> SheetImage:
    probabilities = evaluation.probabilities[index]
    label, best = int(evaluation.labels[index]), int(evaluation.predicted[index])
    true, answer = evaluation.classes[label], evaluation.classes[best]
    shown = _shown(evaluation.classes)
    name = short_name(images.files[index]) if images.files is not None else f"image {index}"
    verdict, notes = "correct", []
    if label != best:
        verdict = f"taken for {answer}"
        share = f"{probabilities[label]:.1%}" if probabilities[label] >= 0.001 else "<0.1%"
        notes.append(f"{given}: {shown[true]} {share}")
    if distances and evaluation.distance is not None:
        notes.append(f"distance {evaluation.distance[index]:.2f}")
    return SheetImage.of(
        images.images[index],
        largest=largest,
        name=name,
        kind="right" if label == best else "wrong",
        answer=shown[answer],
        confidence=float(probabilities[best]),
        note=", ".join(notes),
        description=f"{name}: {true}, {verdict}",
    )


def other_image(pixels: NDArray[np.uint8], file: Path, prediction: Prediction) -> SheetImage:
    """Prepare a picture of none of the classes for a sheet.

    Args:
        pixels: as the model sees it, (H, H, 3).
        file: where it comes from.
        prediction: of a model with a detector of unknown images.
    """
    name, distance = short_name(file), f"distance {prediction.distance:.2f}"
    verdict = "rejected" if prediction.is_unknown else f"taken for {prediction.classes[0]}"
    return SheetImage.of(
        pixels,
        name=name,
        kind="other" if prediction.is_unknown else "wrong",
        answer=prediction.classes[0],
        confidence=prediction.probabilities[0],
        note=distance,
        description=f"{name}: {verdict}, {distance}",
    )


@lru_cache(maxsize=1)
def _shown(classes: tuple[str, ...]) -> dict[str, str]:
    return cut_names(classes, lambda text: len(text) <= _LETTERS)


def short_name(file: Path) -> str:
    """Return a file's name with its folder, which is often the class."""
    return str(Path(*file.parts[-2:]))
