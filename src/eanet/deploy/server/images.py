"""Strangers' images: looked at before they are decoded, so that none takes hours or gigabytes."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from io import BytesIO

from eanet.data.decode import UnreadableImageError
from eanet.data.formats import open_image
from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Pixels
from eanet.errors import EanetError

LARGE = 16_000_000  # pixels: decoding such an image may take 1 GB, so only one is at a time
SCANS = 100  # of a JPEG: a usual one has about 10, and each takes as long as decoding all of it
_START_OF_SCAN = b"\xff\xda"  # within a scan, 0xff is followed by 0 or by the number of a restart
_large = threading.Lock()


def decode(predictor: Predictor, data: bytes, most_pixels: int) -> Pixels | EanetError:
    """Decode an image that anybody may have sent, or say in one sentence why not."""
    pixels = _promised_pixels(data)
    if pixels is None:
        return EanetError("This is not an image that can be read here.")
    if pixels > most_pixels:
        return EanetError(f"{pixels:,} pixels are too many: {most_pixels:,} are taken.")
    if data.startswith(b"\xff\xd8") and data.count(_START_OF_SCAN) > SCANS:
        return EanetError(f"This JPEG has more than {SCANS} scans.")
    try:
        with _large if pixels > LARGE else nullcontext():
            return predictor.decode(BytesIO(data))
    except UnreadableImageError as error:
        return EanetError(f"This image cannot be read: {error.reason}.")


def _promised_pixels(data: bytes) -> int | None:
    """Return the number of pixels that the header promises; None if this is no image."""
    try:
        with open_image(BytesIO(data)) as image:
            return image.width * image.height
    except Exception:  # damaged bytes make Pillow's readers raise nearly anything
        return None
