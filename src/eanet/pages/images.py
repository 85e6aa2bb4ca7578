"""Images that are embedded in a page, each with what there is to say of it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TINY = 32  # pixels: up to this side, images keep their square pixels; larger ones are smoothed
LARGEST = 160  # side in pixels of the largest embedded image

Kind = Literal["right", "wrong", "other"]


@dataclass(frozen=True)
class SheetImage:
    """An image with what a model or a list says of it.

    Attributes:
        source: the pixels, as a data URI.
        is_sharp: whether its pixels stay squares when it is enlarged.
        name: of its file with its folder, or its number.
        kind: ``right``, ``wrong``, or ``other`` if there is no true class to compare with.
        answer: the most probable class, or the true one.
        confidence: its probability; None if nothing was asked.
        note: what else there is to say, or nothing.
        description: all of it in one line, for a screen reader.
    """

    source: str
    is_sharp: bool
    name: str
    kind: Kind
    answer: str
    confidence: float | None
    note: str
    description: str

    @classmethod
    def of(
        cls,
        pixels: NDArray[np.uint8],
        *,
        name: str,
        kind: Kind,
        answer: str,
        confidence: float | None = None,
        note: str = "",
        description: str,
        largest: int = LARGEST,
    ) -> SheetImage:
        """Embed pixels, (H, W, 3); a side of more than ``largest`` pixels is reduced."""
        source, is_sharp = thumbnail(pixels, largest), len(pixels) <= TINY
        return cls(source, is_sharp, name, kind, answer, confidence, note, description)


def thumbnail(pixels: NDArray[np.uint8], largest: int = LARGEST) -> str:
    """Encode an image (H, W, 3) as a data URI: lossless if small, else a reduced JPEG."""
    image = Image.fromarray(pixels)
    if len(pixels) <= TINY:
        return data_uri(image, "png")
    image.thumbnail((largest, largest))
    return data_uri(image, "jpeg")


def data_uri(image: Image.Image, kind: str) -> str:
    """Encode an image as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True)
    return encoded(buffer.getvalue(), kind)


def encoded(content: bytes, kind: str) -> str:
    """Return the content of an image file as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
