"""Max pooling of feature maps by PyTorch's own kernels, since the compiler's are slower."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.ops.dispatch import gradients_by_formula, is_compiled_on_cpu, register_vmap

WINDOW, STRIDE, PADDING, DILATION = (3, 3), (2, 2), (1, 1), (1, 1)


def max_pool(maps: Tensor) -> Tensor:
    """Pool 3 x 3 with stride 2: ``(B, C, H, W)`` to ``(B, C, ceil(H / 2), ceil(W / 2))``."""
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
    return _compute(maps)


def _compute_backward(upstream: Tensor, maps: Tensor, indices: Tensor) -> Tensor:
    gradient: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
        upstream, maps, WINDOW, STRIDE, PADDING, DILATION, False, indices
    )
    return gradient


_max_pool_backward = torch.library.custom_op(
    "eanet::max_pool_backward", _compute_backward, mutates_args=()
)


@_max_pool_backward.register_fake
def _(upstream: Tensor, maps: Tensor, indices: Tensor) -> Tensor:
    return _compute_backward(upstream, maps, indices)


def _keep(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor | None, _: Any) -> Tensor | None:
    maps, indices = ctx.saved_tensors
    if upstream is None:
        return None
    if torch.is_grad_enabled():
        return gradients_by_formula(lambda maps: _compute(maps)[0], (maps,), upstream)[0]
    return cast(Tensor, _max_pool_backward(upstream, maps, indices))


_max_pool.register_autograd(_differentiate, setup_context=_keep)
for _operator in (_max_pool, _max_pool_backward):
    register_vmap(_operator)
