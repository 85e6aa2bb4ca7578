"""A sheet of images with their augmented versions, to see what a model will be shown."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eanet.config import AugmentSettings
from eanet.data.augment import Augmentation, Draws
from eanet.data.augment.mixing import mix
from eanet.data.batches import take
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.plots.names import shorten_names
from eanet.plots.style import INK, MUTED, annotate, picture, smoothing, write_title

IMAGES = 6
VERSIONS = 7  # of each image

_SIDE = 0.95  # of an image on the sheet, in inches
_GAP = 0.08
_TEXT = 0.22  # the line above an image
_POINTS = 9


def plot_preview(
    images: ImageSet, settings: AugmentSettings, path: Path, *, title: str = "", seed: int = 0
) -> Path:
    """Draw up to 6 random images, each beside 7 of its augmented versions.

    Args:
        images: what to draw from.
        settings: of the augmentation; the active ones are named on the sheet.
        path: the PNG file to write.
        title: shown above the picture.
        seed: another seed draws other images and other versions.

    Raises:
        EanetError: there are no images, or the file cannot be written.
    """
    if not len(images):
        raise EanetError("there is no image to draw")
    random = np.random.default_rng(seed)
    drawn = images.subset(np.sort(random.permutation(len(images))[:IMAGES]))
    versions, shares = _augmented(drawn, settings, seed)
    interpolation = smoothing(images.image_size)
    pitch = _SIDE + _GAP, _SIDE + _TEXT
    sheet = (1 + VERSIONS) * pitch[0], len(drawn) * pitch[1]
    with picture(path, *sheet, dpi=120) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        classes = [drawn.classes[label] for label in drawn.labels]
        names = shorten_names(classes, _POINTS, _SIDE)
        for row, shown in enumerate(versions):
            above = [names[classes[row]], *(f"{share:.0%}" for share in shares[row])]
            for column, (pixels, text) in enumerate(zip(shown, above, strict=True)):
                # Set the originals slightly apart.
                left, top = column * pitch[0] + (column > 0) * _GAP, row * pitch[1] + _TEXT
                extent = (left, left + _SIDE, top + _SIDE, top)
                axes.imshow(pixels, extent=extent, interpolation=interpolation, aspect="auto")
                if column == 0 or settings.mixes:
                    ink = MUTED if column else INK
                    axes.text(left, top - 0.03, text, fontsize=_POINTS, color=ink)
        axes.set(xlim=(0, sheet[0] + _GAP), ylim=(sheet[1], 0))
        axes.axis("off")
        legend = textwrap.wrap(summarize_augmentation(settings), 110)
        annotate(axes, "\n".join(legend), (0, 1), (0, 4), fontsize=_POINTS, color=MUTED)
        write_title(axes, title, points=12 + 12 * len(legend))
    return path


def _augmented(
    images: ImageSet, settings: AugmentSettings, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return images and versions, ``(m, 1 + VERSIONS, H, W, 3)``, and the image's share in each."""
    pixels, _ = take(images, slice(None))
    augmentation, generator = Augmentation(settings), torch.Generator().manual_seed(seed)
    shown, shares = [pixels.float()], []
    for _ in range(VERSIONS):
        draws = augmentation.draw(len(pixels), generator)
        version, share = augmentation(pixels, draws), torch.ones(len(pixels))
        if settings.mixes:
            version, share = mix(version, Draws.of(draws), settings)
        shown.append(version)
        shares.append(share)
    sheet = torch.stack(shown, dim=1).round().byte()  # (m, 1 + VERSIONS, 3, H, W)
    return sheet.permute(0, 1, 3, 4, 2).numpy(), torch.stack(shares, dim=1).numpy()


def summarize_augmentation(settings: AugmentSettings) -> str:
    """Name the active settings in one line, and explain the percentages on the sheet."""
    on = []
    for name, field in AugmentSettings.model_fields.items():
        value = getattr(settings, name)
        if value not in (field.default, False):
            on.append(name if value is True else f"{name} {value:g}")
    note = "; in per cent: the share of the image's own class" if settings.mixes else ""
    return (", ".join(on) or "nothing is changed") + note
