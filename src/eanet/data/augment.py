"""Random changes of the training images: batched tensor operations on raw pixels.

The augmentation runs on the training device, inside the compiled step, and always *before* the
model's own normalisation: contrast clips to 0..255, which only raw pixels survive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.errors import EanetError

DRAWS_PER_IMAGE = 5  # flip, angle, height zoom, width zoom, contrast


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How far images may be changed; everything is off by default.

    Attributes:
        flip: mirror left and right with probability 1/2.
        rotation: largest angle either way, as a fraction of a full turn (0.1 is 36 degrees).
        zoom: largest change of the field of view either way, as a fraction; height and width are
            drawn independently, so the aspect ratio changes too.
        contrast: largest change either way of the distance of a pixel from its channel's mean, as
            a fraction.

    Raises:
        EanetError: ``rotation``, ``zoom`` or ``contrast`` is not in [0, 1).
    """

    flip: bool = False
    rotation: float = 0.0
    zoom: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation", "zoom", "contrast"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise EanetError(f"{name} must be at least 0 and less than 1, not {value}")

    @property
    def active(self) -> bool:
        """Whether anything is on."""
        return bool(self.flip or self.rotation or self.zoom or self.contrast)


class Augmentation(nn.Module):
    """Flip, rotation, contrast and zoom, as the Keras layers of these names define them.

    Rotation and zoom are one affine map and one bilinear resampling; what lies outside the image
    is its mirror image. Contrast is a map of single pixels, so it is applied first: but for the
    clipping and the mean (taken over the image before it is turned), interpolation commutes with
    it. The module has no state and draws nothing itself.
    """

    def __init__(self, settings: AugmentSettings) -> None:
        super().__init__()
        self.settings = settings

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random numbers for `forward`: uniform in [0, 1), one row an image, on the CPU.

        Their number does not depend on the settings, so switching one of them leaves the draws of
        the others as they were.
        """
        return torch.rand(batch, DRAWS_PER_IMAGE, generator=generator)

    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Change every image by its own draws.

        Args:
            images: raw pixels 0..255, integer or float, (B, C, H, W).
            draws: from `draw`, on the images' device, (B, 5).

        Returns:
            The changed images, float32, (B, C, H, W).
        """
        settings = self.settings
        pixels = images.float()
        flip, angle, zoom_height, zoom_width, contrast = draws.unbind(1)
        if settings.flip:  # apart from the affine map: alone, it needs no interpolation
            mirrored = flip.view(-1, 1, 1, 1) < 0.5
            pixels = torch.where(mirrored, pixels.flip(-1), pixels)
        if settings.contrast:
            pixels = _adjust_contrast(pixels, _around(1.0, settings.contrast, contrast))
        if settings.rotation or settings.zoom:
            pixels = _rotate_and_zoom(
                pixels,
                angle=_around(0.0, 2 * math.pi * settings.rotation, angle),
                height=_around(1.0, settings.zoom, zoom_height),
                width=_around(1.0, settings.zoom, zoom_width),
            )
        return pixels


def _around(centre: float, radius: float, draws: Tensor) -> Tensor:
    """Uniform draws in [0, 1) brought to [centre - radius, centre + radius)."""
    return centre + radius * (2 * draws - 1)


def _adjust_contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """Multiply the distance of every pixel from its image's mean, channel by channel."""
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return (mean + factor.view(-1, 1, 1, 1) * (pixels - mean)).clamp(0, 255)


def _rotate_and_zoom(pixels: Tensor, angle: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Turn every image counter-clockwise by ``angle`` radians, then widen its field of view.

    ``height`` and ``width`` are the extents of what is seen, in units of the image: more than 1
    zooms out. All three are (B,).
    """
    rows, columns = pixels.shape[-2:]
    # Pixel centres, measured from the centre of the image in pixels: where the output is seen from.
    y = torch.arange(rows, device=pixels.device) - (rows - 1) / 2
    x = torch.arange(columns, device=pixels.device) - (columns - 1) / 2
    y = height.view(-1, 1, 1) * y.view(1, -1, 1)  # (B, H, 1)
    x = width.view(-1, 1, 1) * x.view(1, 1, -1)  # (B, 1, W)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    # Written out, not as a matrix product, which autocast would compute in half precision.
    source_x = (cos * x - sin * y) * (2 / columns)  # -1 and 1 are the outer edges of the image
    source_y = (sin * x + cos * y) * (2 / rows)
    grid = torch.stack((source_x, source_y), dim=-1)  # (B, H, W, 2)
    resampled: Tensor = _resample(pixels, grid)
    return resampled


# An operator of its own: the code that torch.compile generates in place of grid_sample takes
# several times as long on a CPU (benchmarks/operations.py).
@torch.library.custom_op("eanet::resample", mutates_args=())
def _resample(pixels: Tensor, grid: Tensor) -> Tensor:
    """Bilinear interpolation at ``grid``, the image continued by its mirror images."""
    sampled: Tensor = F.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return sampled.contiguous()


@_resample.register_fake
def _(pixels: Tensor, grid: Tensor) -> Tensor:
    return pixels.new_empty(pixels.shape)
