"""Depthwise convolution of tokens: what makes neighbours know of each other."""

from __future__ import annotations

import math

from torch import Tensor, nn


class DepthwiseConvolution(nn.Conv2d):
    """A 3 x 3 convolution of each channel by itself, over tokens on a square grid.

    As between the two layers of the MLP in Li et al., 2021, "LocalViT", arXiv 2104.05707, and Wang
    et al., 2021, "PVT v2", arXiv 2106.13797, section 3.2. It makes nothing of positions, but the
    zeros around the grid tell tokens of its border.

    Args:
        dim: width of the tokens.
        bias: whether a number is added to each channel.
    """

    def __init__(self, dim: int, *, bias: bool = True) -> None:
        super().__init__(dim, dim, kernel_size=3, padding=1, groups=dim, bias=bias)

    def reset_parameters(self) -> None:
        """Kaiming normal weights and zero biases."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, dim)``, row by row, to tokens ``(B, N, dim)``; N is a square."""
        side = math.isqrt(x.shape[1])
        # Seen as (B, dim, H, W), tokens are in channels-last order already, the fast one on CPUs.
        maps = x.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (B, dim, H, W)
        return super().forward(maps).permute(0, 2, 3, 1).flatten(1, 2)  # (B, N, dim)
