"""Max pooling of feature maps by PyTorch's own kernels, since the compiler's are slower."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.ops.dispatch import is_compiled_on_cpu

WINDOW, STRIDE, PADDING, DILATION = (3, 3), (2, 2), (1, 1), (1, 1)


class MaxPooling(nn.Module):
    """3 x 3 max pooling with stride 2, which halves the sides of maps, rounded up."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to ``(B, C, ceil(H / 2), ceil(W / 2))``."""
        pool = _max_pool if is_compiled_on_cpu(maps) else _compute
        return cast(Tensor, pool(maps)[0])


def _compute(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maxima and their indices in the maps."""
    return F.max_pool2d_with_indices(maps, WINDOW, STRIDE, PADDING)


# A custom operator: the code that torch.compile generates for the backward pass takes several
# times as long on a CPU (benchmarks/operations.py).
_max_pool = torch.library.custom_op("eanet::max_pool", _compute, mutates_args=())


@_max_pool.register_fake
def _(maps: Tensor) -> tuple[Tensor, Tensor]:
    return F.max_pool2d_with_indices(maps, WINDOW, STRIDE, PADDING)


@torch.library.custom_op("eanet::max_pool_backward", mutates_args=())
def _max_pool_backward(upstream: Tensor, maps: Tensor, found: Tensor) -> Tensor:
    gradient: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
        upstream, maps, WINDOW, STRIDE, PADDING, DILATION, False, found
    )
    return gradient


@_max_pool_backward.register_fake
def _(upstream: Tensor, maps: Tensor, found: Tensor) -> Tensor:
    return torch.empty_like(maps)


def _keep(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, gradient: Tensor, _: Any) -> Tensor:
    pooled: Tensor = _max_pool_backward(gradient, *ctx.saved_tensors)
    return pooled


_max_pool.register_autograd(_differentiate, setup_context=_keep)
