"""TrivialAugment: one random operation of random strength per image.

Müller and Hutter, 2021, arXiv 2103.10158: the wide set of operations, with the strengths of its
table 1, such as shifts of up to 32 pixels at any image size. Strengths are continuous, not one of
31 steps; shearing is about the centre. Colour operations are those of Pillow, without its rounding
to integer levels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.data.augment.draws import Draws
from eanet.data.augment.geometry import Affine, rotation

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
LUMA = (0.299, 0.587, 0.114)


def motion(draws: Draws) -> Affine:
    """Return the map of the geometric operation; the identity if another one is drawn."""
    selected, either_way = _select(draws), 2 * draws.strength - 1
    rest = Affine(
        xy=0.99 * either_way * selected["shear_x"],
        yx=0.99 * either_way * selected["shear_y"],
        x0=32 * either_way * selected["translate_x"],
        y0=32 * either_way * selected["translate_y"],
    )
    return rotation(math.radians(135) * either_way * selected["rotate"]).then(rest)


def recolour(pixels: Tensor, draws: Draws) -> Tensor:
    """Apply the colour operation to raw pixels ``(B, 3, H, W)``, float."""
    selected = {name: images.view(-1, 1, 1, 1) for name, images in _select(draws).items()}
    strength = draws.strength.view(-1, 1, 1, 1)
    out = _enhance(pixels, selected, 1 + 0.99 * (2 * strength - 1))
    step = 2 ** (6 * strength).round()  # leaves 8 to 2 bits
    out = torch.where(selected["posterize"], (pixels / step).floor() * step, out)
    over = pixels >= 255 * (1 - strength)
    out = torch.where(selected["solarize"] & over, 255 - pixels, out)
    out = torch.where(selected["autocontrast"], _autocontrast(pixels), out)
    return torch.where(selected["equalize"], _equalize(pixels), out)


def _select(draws: Draws) -> dict[str, Tensor]:
    """Return a mask of images ``(B,)`` for each operation; each image has exactly one."""
    number = (draws.operation * len(OPERATIONS)).floor()
    return {name: number == place for place, name in enumerate(OPERATIONS)}


def _enhance(pixels: Tensor, selected: dict[str, Tensor], factor: Tensor) -> Tensor:
    """Scale the distance from black, grey, the mean grey or the blurred image."""
    luma = torch.tensor(LUMA, device=pixels.device).view(1, 3, 1, 1)
    grey = (luma * pixels).sum(1, keepdim=True)  # (B, 1, H, W)
    origin = torch.where(selected["brightness"], 0.0, pixels)
    origin = torch.where(selected["color"], grey, origin)
    origin = torch.where(selected["contrast"], grey.mean((2, 3), keepdim=True), origin)
    origin = torch.where(selected["sharpness"], _blurred(pixels), origin)
    return (origin + factor * (pixels - origin)).clamp(0, 255)


def _blurred(pixels: Tensor) -> Tensor:
    """Weigh every pixel by 5/13 and its eight neighbours by 1/13; leave the border unchanged."""
    inner = pixels[:, :, 1:-1, 1:-1]
    change = (F.avg_pool2d(pixels, 3, stride=1) - inner) * (9 / 13)
    return pixels + F.pad(change, (1, 1, 1, 1))


def _autocontrast(pixels: Tensor) -> Tensor:
    """Stretch every channel to 0..255; leave one of a single level unchanged."""
    low, high = pixels.amin((2, 3), keepdim=True), pixels.amax((2, 3), keepdim=True)
    stretched = (pixels - low) * (255 / (high - low).clamp(min=1))
    return torch.where(high > low, stretched, pixels)


def _equalize(pixels: Tensor) -> Tensor:
    """Spread the levels of every channel so that each is about equally frequent.

    As in Pillow, a channel with fewer than 255 pixels below its highest level is unchanged.
    """
    levels = pixels.flatten(2).long()  # (B, 3, H * W)
    counts = torch.zeros(*levels.shape[:2], 256, device=pixels.device)
    counts = counts.scatter_add(2, levels, torch.ones_like(levels, dtype=counts.dtype))
    brightest = counts.gather(2, levels.amax(2, keepdim=True))
    step = ((levels.shape[2] - brightest) / 255).floor()  # (B, 3, 1), pixels per level
    below = counts.cumsum(2) - counts
    table = (below / step.clamp(min=1) + 0.5).floor().clamp(max=255)
    equalized = table.gather(2, levels).view_as(pixels)
    return torch.where(step.unsqueeze(3) > 0, equalized, pixels)
