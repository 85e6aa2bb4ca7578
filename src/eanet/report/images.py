"""Sheets of images for a page of HTML, embedded in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.data.imageset import ImageSet
from eanet.metrics.evaluation import Evaluation
from eanet.plots.style import TINY

_LARGEST = 160  # side in pixels of the largest embedded image


def sheet(chosen: Iterable[int], evaluation: Evaluation, images: ImageSet) -> str:
    """Return HTML of the chosen images, each with its predicted class.

    Args:
        chosen: indices into ``images``.
        evaluation: of all ``images``.
        images: with or without file names.
    """
    return f'<div class="sheet">\n{"".join(_figure(i, evaluation, images) for i in chosen)}</div>'


def _figure(index: int, evaluation: Evaluation, images: ImageSet) -> str:
    probabilities = evaluation.probabilities[index]
    true, found = int(evaluation.labels[index]), int(evaluation.predicted[index])
    is_wrong = true != found
    is_, taken_for = escape(evaluation.classes[true]), escape(evaluation.classes[found])
    # With its folder, which is often the class; the full path is of no use to a reader.
    file = images.files[index] if images.files is not None else None
    name = escape(str(Path(*file.parts[-2:]))) if file is not None else f"image {index}"
    pixels = images.images[index]
    lines = [
        f"<span><b>{'✗' if is_wrong else '✓'} {taken_for}</b> {probabilities[found]:.0%}</span>"
    ]
    if is_wrong:
        share = probabilities[true]
        chance = f"{share:.1%}" if share >= 0.001 else "&lt;0.1%"
        lines.append(f"<span>true: {is_} {chance}</span>")
    lines.append(f"<span>{name}</span>")
    sharp = ' class="sharp"' if len(pixels) <= TINY else ""
    described = f"{name}: {is_}, taken for {taken_for}" if is_wrong else f"{name}: {is_}, correct"
    return (
        f'<figure class="{"wrong" if is_wrong else "right"}">'
        f'<img{sharp} loading="lazy" '
        f'src="{_thumbnail(pixels)}" alt="{described}" title="{described}">'
        f"<figcaption>{''.join(lines)}</figcaption></figure>\n"
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
