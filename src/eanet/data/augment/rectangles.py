"""Rectangles in images, and random erasing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eanet.data.augment.draws import Draws

AREA = (0.02, 1 / 3)  # of an erased rectangle, as a share of the image
ASPECT = 3.3  # at most, in either direction


def rectangle(pixels: Tensor, y: Tensor, x: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Return the mask of the pixels in a rectangle, (B, 1, H, W).

    Args:
        pixels: images, of which only the shape is used, (B, C, H, W).
        y: centre, as a share of the image's height, (B,).
        x: centre, as a share of the image's width, (B,).
        height: share of the image's height, (B,).
        width: share of the image's width, (B,).
    """

    def inside(side: int, centre: Tensor, extent: Tensor) -> Tensor:
        places = (torch.arange(side, device=pixels.device) + 0.5) / side
        return (places - centre.view(-1, 1)).abs() < extent.view(-1, 1) / 2  # (B, side)

    rows = inside(pixels.shape[2], y, height)
    columns = inside(pixels.shape[3], x, width)
    return rows[:, None, :, None] & columns[:, None, None, :]


def erase(pixels: Tensor, draws: Draws, probability: float) -> Tensor:
    """Fill a rectangle of some of the images ``(B, C, H, W)`` with the image's mean colour.

    Random erasing: Zhong et al., 2017, arXiv 1708.04896, with ranges of area and aspect ratio
    close to those of torchvision and timm. They fill with 0 after normalising, which is a mean
    colour, too.
    """
    area = AREA[0] + (AREA[1] - AREA[0]) * draws.erase_area
    aspect = (math.log(ASPECT) * (2 * draws.erase_aspect - 1)).exp()
    height, width = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
    y = height / 2 + (1 - height) * draws.erase_y
    x = width / 2 + (1 - width) * draws.erase_x
    erased = rectangle(pixels, y, x, height, width)
    erased = erased & (draws.erase < probability).view(-1, 1, 1, 1)
    return torch.where(erased, pixels.mean((2, 3), keepdim=True), pixels)
