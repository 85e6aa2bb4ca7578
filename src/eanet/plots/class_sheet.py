"""A sheet with some images of every class, to see what a model will learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.plots.names import shorten_names
from eanet.plots.style import MUTED, picture, smoothing, text_width, write_title

IMAGES = 8  # per class
MOST_CLASSES = 100

_ROWS = 25  # classes per column
_GAP = 0.2  # between columns, in inches
_TEXT = 0.25  # the line above the images of a class, in inches
_POINTS = 9


def plot_classes(images: ImageSet, path: Path, *, title: str = "", seed: int = 0) -> Path:
    """Draw up to 8 random images of each of the first 100 classes.

    Args:
        images: what to draw from.
        path: the PNG file to write.
        title: shown above the picture.
        seed: another seed draws other images.

    Raises:
        EanetError: there are no images, or the file cannot be written.
    """
    if not len(images):
        raise EanetError("there is no image to draw")
    classes, counts = images.classes[:MOST_CLASSES], images.counts()
    if len(classes) < len(images.classes):
        title = f"{title} (the first {len(classes)} of {len(images.classes):,} classes)"
    columns = -(-len(classes) // _ROWS)
    rows = -(-len(classes) // columns)
    inches = (0.9 if columns == 1 else 0.5) / images.image_size  # per pixel
    strips = [_strip(images, label, seed) for label in range(len(classes))]
    width = inches * max(strip.shape[1] for strip in strips)
    pitch = inches * images.image_size + _TEXT
    sheet = columns * (width + _GAP) - _GAP
    with picture(path, sheet, rows * pitch, dpi=120) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        room = width - text_width(f"  {counts.max():,}", _POINTS)
        names = shorten_names(classes, _POINTS, room)
        for label, (name, strip) in enumerate(zip(classes, strips, strict=True)):
            column, row = divmod(label, rows)
            left, top = column * (width + _GAP), row * pitch + _TEXT
            at: dict[str, Any] = {
                "y": top - 0.03,
                "fontsize": _POINTS,
                "verticalalignment": "bottom",
            }
            drawn = axes.text(left, s=names[name], **at)
            # Beside the name as it is drawn, which is wider than it measures.
            count: dict[str, Any] = {
                "xycoords": drawn,
                "va": "bottom",
                "fontsize": _POINTS,
                "color": MUTED,
            }
            axes.annotate(f"  {counts[label]:,}", (1, 0), **count)
            right, bottom = left + inches * strip.shape[1], top + inches * strip.shape[0]
            axes.imshow(
                strip,
                extent=(left, right, bottom, top),
                interpolation=smoothing(images.image_size),
                aspect="auto",
            )
        axes.set(xlim=(0, sheet), ylim=(rows * pitch, 0))
        axes.axis("off")
        write_title(axes, title, points=8)
    return path


def _strip(images: ImageSet, label: int, seed: int) -> NDArray[np.uint8]:
    """Return some images of a class side by side, with gaps between them, (H, W, 3)."""
    random = np.random.default_rng((seed, label))
    drawn = np.sort(random.permutation(np.flatnonzero(images.labels == label))[:IMAGES])
    gap = (0, max(1, images.image_size // 16))  # white, on the right
    padded = np.pad(images.images[drawn], ((0, 0), (0, 0), gap, (0, 0)), constant_values=255)
    return padded.swapaxes(0, 1).reshape(images.image_size, -1, 3)  # (m, H, H+, 3) to (H, m H+, 3)
