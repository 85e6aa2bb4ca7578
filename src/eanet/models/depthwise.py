"""Depthwise convolution of tokens, which mixes neighbours."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from eanet.models.batch_norm import TokenBatchNorm
from eanet.ops.depthwise import depthwise
from eanet.ops.dispatch import is_plain


class DepthwiseConvolution(nn.Conv2d):
    """A 3 x 3 convolution of each channel separately, over tokens on a square grid.

    Used between the two layers of the MLP by Li et al., 2021, "LocalViT", arXiv 2104.05707, and
    Wang et al., 2021, "PVT v2", arXiv 2106.13797, section 3.2. Positions matter only through the
    zero padding, which marks the border.

    Args:
        dim: width of the tokens.
        bias: whether to add a learned bias to each channel.
    """

    def __init__(self, dim: int, *, bias: bool = True) -> None:
        super().__init__(dim, dim, kernel_size=3, padding=1, groups=dim, bias=bias)

    def reset_parameters(self) -> None:
        """Initialise weights to Kaiming normal and biases to zero."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)``, in row-major order, to ``(B, N, dim)``; N is a square."""
        # So that its gradient has the same strides, as DistributedDataParallel asks: PyTorch's has
        # others in a dimension of size 1.
        weight = self.weight.squeeze(1).unsqueeze(1)  # (dim, 1, 3, 3)
        return depthwise(x, weight, self.bias)


class NormalizedDepthwiseConvolution(nn.Sequential):
    """A depthwise convolution, then batch normalisation: ``(B, N, dim)`` in and out.

    Args:
        dim: width of the tokens.
    """

    def __init__(self, dim: int) -> None:
        # No bias: the norm would subtract it again.
        super().__init__(DepthwiseConvolution(dim, bias=False), TokenBatchNorm(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``."""
        convolution, norm = cast(tuple[DepthwiseConvolution, TokenBatchNorm], tuple(self))
        plain = is_plain(convolution, DepthwiseConvolution) and is_plain(norm, TokenBatchNorm)
        if norm.training or not plain or norm.running_mean is None:
            y: Tensor = convolution(x)
            # Norms that stand for ours, such as nn.SyncBatchNorm, take channels second.
            takes_rows = isinstance(norm, nn.BatchNorm1d | nn.SyncBatchNorm)
            rows = y.flatten(0, 1) if takes_rows else y  # (B, N, dim) -> (B * N, dim)
            return cast(Tensor, norm(rows)).view_as(y)
        # In evaluation the norm is a fixed affine map: one convolution does both.
        mean, variance = norm.running_mean, cast(Tensor, norm.running_var)
        scale = norm.weight * (variance + norm.eps).rsqrt()  # (dim,)
        weight = convolution.weight * scale.view(-1, 1, 1, 1)  # (dim, 1, 3, 3)
        return depthwise(x, weight, norm.bias - mean * scale)
