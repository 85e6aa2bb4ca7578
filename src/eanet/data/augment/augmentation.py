"""All augmentations of single images, in order."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from eanet.config import AugmentSettings
from eanet.data.augment import trivial_augment
from eanet.data.augment.draws import Draws
from eanet.data.augment.geometry import (
    Affine,
    move,
    random_resized_crop,
    random_shift,
    rotation,
)
from eanet.data.augment.mixing import draw_share
from eanet.data.augment.rectangles import erase


class Augmentation(nn.Module):
    """Augments each image independently; mixing is done by `TrainingStep`.

    Flip, rotation, zoom and contrast follow the Keras layers of these names. All geometric changes
    are one affine map and one bilinear resampling: first the crops, then rotation and zoom, then
    the TrivialAugment operation. The image is reflected at its borders. Colours are changed first:
    linear changes commute with interpolation, except for clipping and for means, which are taken
    over the complete image. Erasing comes last. The module has no state.
    """

    def __init__(self, settings: AugmentSettings) -> None:
        super().__init__()
        self.settings = settings

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw random numbers for `forward` on the CPU: a row per image, the columns of `Draws`."""
        table = torch.rand(batch, len(Draws._fields), generator=generator)
        draws = Draws.of(table)
        if self.settings.mixes:
            draws.share.copy_(draw_share(draws.cut, self.settings, generator))
        return table

    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Augment each image by its own draws.

        Args:
            images: raw pixels 0..255, integer or float, (B, 3, H, W).
            draws: from `draw`, on the images' device, (B, D).

        Returns:
            The augmented images, float32, (B, 3, H, W).
        """
        settings, drawn = self.settings, Draws.of(draws)
        pixels = images.float()
        if settings.flip:  # not in the affine map: a flip alone needs no interpolation
            mirrored = drawn.flip.view(-1, 1, 1, 1) < 0.5
            pixels = torch.where(mirrored, pixels.flip(-1), pixels)
        if settings.trivial_augment:
            pixels = trivial_augment.recolour(pixels, drawn)
        if settings.contrast:
            pixels = _adjust_contrast(pixels, _around(1.0, settings.contrast, drawn.contrast))
        if settings.moves:
            pixels = move(pixels, self._source(drawn, *pixels.shape[2:]))
        if settings.erasing:
            pixels = erase(pixels, drawn, settings.erasing)
        return pixels

    def _source(self, drawn: Draws, height: int, width: int) -> Affine:
        """Compose all geometric changes into one map."""
        settings, source = self.settings, Affine()
        if settings.translate:
            source = source.then(random_shift(drawn, settings.translate, height, width))
        if settings.min_scale < 1:
            source = source.then(random_resized_crop(drawn, settings.min_scale, height, width))
        if settings.rotation:
            angle = _around(0.0, 2 * math.pi * settings.rotation, drawn.angle)
            source = source.then(rotation(angle))
        if any(settings.zooms):
            zoom_height, zoom_width = settings.zooms
            height_factor = _around(1.0, zoom_height, drawn.zoom_height)
            width_factor = _around(1.0, zoom_width, drawn.zoom_width)
            source = source.then(Affine(xx=width_factor, yy=height_factor))
        if settings.trivial_augment:
            source = source.then(trivial_augment.motion(drawn))
        return source


def _around(centre: float, radius: float, draws: Tensor) -> Tensor:
    """Map uniform draws in [0, 1) to [centre - radius, centre + radius)."""
    return centre + radius * (2 * draws - 1)


def _adjust_contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance of every pixel from its image's mean, per channel."""
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return (mean + factor.view(-1, 1, 1, 1) * (pixels - mean)).clamp(0, 255)
