"""Strangers' images: looked at before they are decoded, so that none takes hours or gigabytes."""

from __future__ import annotations

from io import BytesIO

from eanet.data.decode import UnreadableImageError
from eanet.data.formats import open_image
from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Pixels
from eanet.errors import EanetError

SCANS = 100  # of a JPEG: a usual one has about 10, and each takes as long as decoding all of it
_START_OF_SCAN = b"\xff\xda"  # within a scan, 0xff is followed by 0 or by the number of a restart


def count_pixels(data: bytes, most: int) -> int:
    """Return the number of pixels that an image promises, without decoding it.

    Raises:
        EanetError: one sentence: it is no image, or would take too long or too much memory.
    """
    try:
        with open_image(BytesIO(data)) as image:
            pixels = image.width * image.height
    except Exception as error:  # damaged bytes make Pillow's readers raise nearly anything
        raise EanetError("This is not an image that can be read here.") from error
    if pixels > most:
        raise EanetError(f"{pixels:,} pixels are too many: {most:,} are taken.")
    if data.startswith(b"\xff\xd8") and data.count(_START_OF_SCAN) > SCANS:
        raise EanetError(f"This JPEG has more than {SCANS} scans.")
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
