"""Depthwise convolution of tokens: what makes neighbours know of each other."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor, nn

from eanet.models.batch_norm import TokenBatchNorm


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
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The same with a weight and a bias of the shapes of its own."""
        side = math.isqrt(x.shape[1])
        # Seen as (B, dim, H, W), tokens are in channels-last order already, the fast one on CPUs.
        maps = x.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (B, dim, H, W)
        convolved = self._conv_forward(maps, weight, bias)
        tokens: Tensor = convolved.permute(0, 2, 3, 1).flatten(1, 2)  # (B, N, dim)
        return tokens


class NormalizedDepthwiseConvolution(nn.Sequential):
    """A depthwise convolution, then batch normalisation: ``(B, N, dim)`` in and out.

    Args:
        dim: width of the tokens.
    """

    def __init__(self, dim: int) -> None:
        # Without a bias, which the norm would take off again.
        super().__init__(DepthwiseConvolution(dim, bias=False), TokenBatchNorm(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, dim)`` to tokens ``(B, N, dim)``."""
        convolution, norm = cast(tuple[DepthwiseConvolution, TokenBatchNorm], tuple(self))
        if self.training:
            normalized: Tensor = norm(convolution(x))
            return normalized
        # What the norm does is fixed now, and linear: one convolution does both.
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        scale = norm.weight * (variance + norm.eps).rsqrt()  # (dim,)
        weight = convolution.weight * scale.view(-1, 1, 1, 1)  # (dim, 1, 3, 3)
        return convolution.convolve(x, weight, norm.bias - mean * scale)
