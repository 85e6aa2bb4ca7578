"""Whether an exported file answers as the model does, from the original images on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eanet.data.decode import decode_image
from eanet.deploy.export.images import Originals
from eanet.deploy.export.program import Pixels, Probabilities
from eanet.deploy.predictor import Predictor


@dataclass(frozen=True)
class Parity:
    """How far the answers of an exported file are from those of a `Predictor`.

    Attributes:
        images: how many were compared.
        of: what they are.
        largest_difference: of a probability.
        same_top1: fraction of images with the same most probable class.
    """

    images: int
    of: str
    largest_difference: float
    same_top1: float


def measure_parity(
    predictor: Predictor, answer: Callable[[Pixels], Probabilities], originals: Originals
) -> Parity:
    """Compare the answers of a model with those of its exported file.

    Args:
        predictor: of the model.
        answer: of the file.
        originals: images; the file is given their upright pixels in full size.

    Raises:
        EanetError: an image cannot be read, or the model's outputs are not finite.
    """
    classes, preprocessing = predictor.classes, predictor.model.config.preprocessing
    differences, same = [], []
    for original in originals.images:
        image = original if isinstance(original, Path) else Image.fromarray(original)
        pixels = decode_image(image, None, preprocessing)
        found = answer(pixels[None])[0]  # (K,)
        expected = predictor.predict(image, top=len(classes))[0]
        own = dict(zip(expected.classes, expected.probabilities, strict=True))
        differences.append(np.abs(found - [own[name] for name in classes]).max())
        same.append(classes[int(found.argmax())] == expected.top1)
    return Parity(len(same), originals.name, float(max(differences)), float(np.mean(same)))
