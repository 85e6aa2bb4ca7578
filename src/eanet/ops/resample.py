"""Resampling of images, for augmentation: without a gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.ops.dispatch import register_vmap


# A custom operator: the code that torch.compile generates for grid_sample takes several times as
# long on a CPU (benchmarks/operations.py).
@torch.library.custom_op("eanet::resample", mutates_args=())
def resample(pixels: Tensor, grid: Tensor) -> Tensor:
    """Interpolate bilinearly, reflecting the image at its borders.

    Args:
        pixels: ``(B, C, H, W)``.
        grid: where to look, ``(B, h, w, 2)``: x and y, from -1 to 1 at the outer edges.

    Returns:
        ``(B, C, h, w)``.
    """
    sampled: Tensor = F.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return sampled.contiguous()


@resample.register_fake
def _(pixels: Tensor, grid: Tensor) -> Tensor:
    return pixels.new_empty(*pixels.shape[:2], *grid.shape[1:3])


register_vmap(resample)
