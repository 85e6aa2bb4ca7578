"""Depthwise 3 x 3 convolution of tokens on a square grid."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from eanet.ops.dispatch import (
    autocast_type,
    gradients_by_formula,
    is_compiled_on_cpu,
    needs_gradient,
    register_vmap,
)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve each channel separately, with zero padding.

    Args:
        x: tokens ``(B, N, dim)`` in row-major order; N is a square.
        weight: ``(dim, 1, 3, 3)``.
        bias: ``(dim,)``.

    Returns:
        ``(B, N, dim)``, in autocast's type if that is on.
    """
    if not (is_compiled_on_cpu(x) and needs_gradient(x, weight)):
        return _convolve(x, weight, bias)
    working = autocast_type(x)
    y = cast(Tensor, _depthwise(x.to(working), weight.to(working)))
    return y if bias is None else y + bias.to(working)


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
    kernel = kernel.contiguous().squeeze(1).unsqueeze(1)  # strides as of ``weight``: (dim, 1, 3, 3)
    return _tokens(maps), kernel


@_depthwise_backward.register_fake
def _(upstream: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    made = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, weight))
    return cast(tuple[Tensor, Tensor], tuple(made))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor | None) -> tuple[Tensor | None, ...]:
    if upstream is None:
        return None, None
    if torch.is_grad_enabled():
        return gradients_by_formula(_convolve, ctx.saved_tensors, upstream)
    return cast(tuple[Tensor, Tensor], _depthwise_backward(upstream, *ctx.saved_tensors))


_depthwise.register_autograd(_differentiate, setup_context=_keep)
for _operator in (_depthwise, _depthwise_backward):
    register_vmap(_operator)


@register_flop_formula(torch.ops.eanet.depthwise)
def _(x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return int(2 * math.prod(x) * math.prod(weight[1:]))


@register_flop_formula(torch.ops.eanet.depthwise_backward)
def _(upstream: Any, x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return int(4 * math.prod(x) * math.prod(weight[1:]))
