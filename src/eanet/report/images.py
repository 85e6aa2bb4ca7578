"""The images of a report's page, embedded in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.data.imageset import ImageSet
from eanet.metrics.evaluation import Evaluation
from eanet.plots.style import TINY

_LARGEST = 160  # side in pixels of the largest embedded image


@dataclass(frozen=True)
class SheetImage:
    """An image with its prediction.

    Attributes:
        source: the pixels, as a data URI.
        is_sharp: whether its pixels stay squares when it is enlarged.
        name: of its file with its folder, or its number.
        true: its class.
        predicted: the most probable class.
        confidence: probability of the predicted class.
        true_probability: probability of its class.
    """

    source: str
    is_sharp: bool
    name: str
    true: str
    predicted: str
    confidence: float
    true_probability: float

    @property
    def is_wrong(self) -> bool:
        """Whether the prediction is wrong."""
        return self.true != self.predicted


def sheet_images(
    indices: Iterable[int], evaluation: Evaluation, images: ImageSet
) -> list[SheetImage]:
    """Prepare images for a sheet.

    Args:
        indices: into ``images``.
        evaluation: of all ``images``.
        images: with or without file names.
    """
    return [_sheet_image(index, evaluation, images) for index in indices]


def _sheet_image(index: int, evaluation: Evaluation, images: ImageSet) -> SheetImage:
    probabilities = evaluation.probabilities[index]
    true, predicted = int(evaluation.labels[index]), int(evaluation.predicted[index])
    # With its folder, which is often the class; the full path is of no use to a reader.
    file = images.files[index] if images.files is not None else None
    pixels = images.images[index]
    return SheetImage(
        source=_thumbnail(pixels),
        is_sharp=len(pixels) <= TINY,
        name=str(Path(*file.parts[-2:])) if file is not None else f"image {index}",
        true=evaluation.classes[true],
        predicted=evaluation.classes[predicted],
        confidence=float(probabilities[predicted]),
        true_probability=float(probabilities[true]),
    )


def _thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Encode an image (H, H, 3) as a data URI: lossless if small, else a reduced JPEG."""
    image = Image.fromarray(pixels)
    if len(pixels) <= TINY:
        return data_uri(image, "png")
    image.thumbnail((_LARGEST, _LARGEST))
    return data_uri(image, "jpeg")


def data_uri(image: Image.Image, kind: str) -> str:
    """Encode an image as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
