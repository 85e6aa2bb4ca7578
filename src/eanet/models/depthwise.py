"""Depthwise convolution of tokens, which mixes neighbours."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.models.batch_norm import TokenBatchNorm
from eanet.ops.dispatch import autocast_type, is_compiled_on_cpu, is_plain, needs_gradient


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
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve as `forward` does, with another weight and bias of the same shapes."""
        if not (is_compiled_on_cpu(x) and needs_gradient(x, weight)):
            return _convolve(x, weight, bias)
        working = autocast_type(x)
        y = cast(Tensor, _depthwise(x.to(working), weight.to(working)))
        return y if bias is None else y + bias.to(working)


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
            normalized: Tensor = norm(convolution(x))
            return normalized
        # In evaluation the norm is a fixed affine map: one convolution does both.
        mean, variance = norm.running_mean, cast(Tensor, norm.running_var)
        scale = norm.weight * (variance + norm.eps).rsqrt()  # (dim,)
        weight = convolution.weight * scale.view(-1, 1, 1, 1)  # (dim, 1, 3, 3)
        return convolution.convolve(x, weight, norm.bias - mean * scale)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    convolved = F.conv2d(_maps(x), weight, bias, padding=1, groups=len(weight))  # (B, dim, H, W)
    return _tokens(convolved)


def _maps(x: Tensor) -> Tensor:
    side = math.isqrt(x.shape[1])
    # Viewed as (B, dim, H, W), tokens are already in channels-last order, the fast one on CPUs.
    grid = x.unflatten(1, (side, side))  # (B, N, dim) -> (B, H, W, dim)
    return cast(Tensor, grid.permute(0, 3, 1, 2))


def _tokens(maps: Tensor) -> Tensor:
    tokens: Tensor = maps.permute(0, 2, 3, 1).flatten(1, 2)  # (B, dim, H, W) -> (B, N, dim)
    return tokens.contiguous()


# A custom operator: torch.compile would bring everything into channels-first order for the backward
# pass, which takes several times as long on a CPU (benchmarks/operations.py).
_depthwise = torch.library.custom_op(
    "eanet::depthwise",
    _convolve,
    mutates_args=(),
    schema="(Tensor x, Tensor weight) -> Tensor",
)


@_depthwise.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op("eanet::depthwise_backward", mutates_args=())
def _depthwise_backward(upstream: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``x`` and ``weight``."""
    stride = padding = dilation = (1, 1)
    maps, kernel, _ = torch.ops.aten.convolution_backward(
        *(_maps(upstream), _maps(x), weight, None),
        *(stride, padding, dilation, False, (0, 0), len(weight)),
        (True, True, False),
    )
    return _tokens(maps), kernel.contiguous()


@_depthwise_backward.register_fake
def _(upstream: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(weight)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
    return cast(tuple[Tensor, Tensor], _depthwise_backward(upstream, *ctx.saved_tensors))


_depthwise.register_autograd(_differentiate, setup_context=_keep)
