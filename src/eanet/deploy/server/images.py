"""Strangers' images: looked at before they are decoded, so that none takes hours or gigabytes."""

from __future__ import annotations

from io import BytesIO

from PIL import UnidentifiedImageError

from eanet.data.decode import UnreadableImageError
from eanet.data.formats import open_image
from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Pixels
from eanet.errors import EanetError, one_line


def count_pixels(data: bytes, most: int) -> int:
    """Return the number of pixels that an image promises, without decoding it.

    Raises:
        EanetError: one sentence: it is no image, or would take too long or too much memory.
    """
    try:
        with open_image(BytesIO(data)) as image:
            pixels = image.width * image.height
    except UnidentifiedImageError as error:
        raise EanetError("This is not an image that can be read here.") from error
    except Exception as error:  # damaged bytes make Pillow's readers raise nearly anything
        raise EanetError(f"This image cannot be read: {one_line(error)}.") from error
    if pixels > most:
        raise EanetError(f"{pixels:,} pixels are too many: {most:,} are taken.")
    return pixels


def decode(predictor: Predictor, data: bytes) -> Pixels:
    """Decode an image that `count_pixels` has looked at.

    Raises:
        EanetError: one sentence: it is damaged.
    """
    try:
        return predictor.decode(BytesIO(data))
    except UnreadableImageError as error:
        raise EanetError(f"This image cannot be read: {error.reason}.") from error
