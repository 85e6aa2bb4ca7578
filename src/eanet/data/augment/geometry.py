"""Geometric augmentation: affine maps, composed and applied in a single resampling."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from eanet.data.augment.draws import Draws
from eanet.ops.resample import resample


class Affine(NamedTuple):
    """A map from each pixel of the result to its source, per image.

    The result at ``(x, y)`` is taken from ``(xx * x + xy * y + x0, yx * x + yy * y + y0)``, in
    pixels from the image centre. Entries are ``(B,)``, or one number for all images. Products are
    written out, since autocast would compute a matrix product in half precision.
    """

    xx: Tensor | float = 1.0
    xy: Tensor | float = 0.0
    x0: Tensor | float = 0.0
    yx: Tensor | float = 0.0
    yy: Tensor | float = 1.0
    y0: Tensor | float = 0.0

    def then(self, later: Affine) -> Affine:
        """Return the map of this change followed by a ``later`` one."""
        return Affine(
            xx=self.xx * later.xx + self.xy * later.yx,
            xy=self.xx * later.xy + self.xy * later.yy,
            x0=self.xx * later.x0 + self.xy * later.y0 + self.x0,
            yx=self.yx * later.xx + self.yy * later.yx,
            yy=self.yx * later.xy + self.yy * later.yy,
            y0=self.yx * later.x0 + self.yy * later.y0 + self.y0,
        )


def rotation(angle: Tensor) -> Affine:
    """Rotate counter-clockwise by ``angle`` radians."""
    cos, sin = angle.cos(), angle.sin()
    return Affine(xx=cos, xy=-sin, yx=sin, yy=cos)


def random_shift(draws: Draws, share: float, height: int, width: int) -> Affine:
    """Shift by up to ``share`` of the side either way, in whole pixels.

    This is the random crop of a padded image.
    """

    def pixels(draw: Tensor, side: int) -> Tensor:
        most = round(share * side)
        return (draw * (2 * most + 1)).floor() - most

    return Affine(x0=pixels(draws.shift_x, width), y0=pixels(draws.shift_y, height))


def random_resized_crop(draws: Draws, smallest: float, height: int, width: int) -> Affine:
    """Crop a window of at least the share ``smallest`` of the area, resized to the image size.

    Szegedy et al., 2014, arXiv 1409.4842, section 6. The aspect ratio is that of the image times
    3/4 to 4/3, log-uniform, or as much of that range as fits into the image.
    """
    area = smallest + (1 - smallest) * draws.crop_area
    widest = (-area.log()).clamp(max=math.log(4 / 3))  # wider would exceed the image
    aspect = (widest * (2 * draws.crop_aspect - 1)).exp()
    rows, columns = (area / aspect).sqrt(), (area * aspect).sqrt()  # shares of the sides
    return Affine(
        xx=columns,
        x0=(1 - columns) * width * (draws.crop_x - 0.5),
        yy=rows,
        y0=(1 - rows) * height * (draws.crop_y - 0.5),
    )


def move(pixels: Tensor, source: Affine) -> Tensor:
    """Resample ``pixels`` (B, C, H, W) at ``source``, reflected at the borders.

    If all sources are pixel centres, as after a shift by whole pixels, values are preserved except
    for the rounding of the coordinates: less than 0.02 grey levels up to 300 pixels a side, 0.1 up
    to 2048.
    """
    batch, _, rows, columns = pixels.shape
    y = (torch.arange(rows, device=pixels.device) - (rows - 1) / 2).view(1, -1, 1)
    x = (torch.arange(columns, device=pixels.device) - (columns - 1) / 2).view(1, 1, -1)
    xx, xy, x0, yx, yy, y0 = (
        entry.view(-1, 1, 1) if isinstance(entry, Tensor) else entry for entry in source
    )
    # -1 and 1 are the outer edges of the image.
    source_x = (xx * x + xy * y + x0) * (2 / columns)
    source_y = (yx * x + yy * y + y0) * (2 / rows)
    grid = torch.stack(torch.broadcast_tensors(source_x, source_y), dim=-1)  # (B, H, W, 2)
    moved: Tensor = resample(pixels, grid.expand(batch, rows, columns, 2))
    return moved
