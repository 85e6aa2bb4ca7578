"""Batch normalisation by the statistics of a batch.

Ioffe and Szegedy, 2015, arXiv 1502.03167.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.ops.dispatch import gradients_by_formula, register_vmap


def batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise each column, then scale and shift it.

    Args:
        x: ``(M, dim)``.
        weight: ``(dim,)``.
        bias: ``(dim,)``.
        eps: added to the variance.

    Returns:
        The result ``(M, dim)``, and, without gradient, the mean and the inverse standard deviation
        ``(dim,)`` of the columns.
    """
    return cast(tuple[Tensor, Tensor, Tensor], _batch_norm(x, weight, bias, eps))


def _compute(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    return torch.native_batch_norm(x.contiguous(), weight, bias, None, None, True, 0.0, eps)


# A custom operator: the code that torch.compile generates for the backward pass sums down columns
# and computes anew what follows the norm, which takes longer on a CPU (benchmarks/operations.py).
_batch_norm = torch.library.custom_op("eanet::batch_norm", _compute, mutates_args=())


@_batch_norm.register_fake
def _(x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, torch.empty_like(weight), torch.empty_like(weight)


@torch.library.custom_op("eanet::batch_norm_backward", mutates_args=())
def _batch_norm_backward(
    upstream: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse_std: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``x``, ``weight`` and ``bias``."""
    arguments = upstream.contiguous(), x.contiguous(), weight, None, None, mean, inverse_std
    backward = torch.ops.aten.native_batch_norm_backward
    gradients: tuple[Tensor, Tensor, Tensor] = backward(*arguments, True, eps, (True, True, True))
    return gradients


@_batch_norm_backward.register_fake
def _(upstream: Tensor, x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, torch.empty_like(weight), torch.empty_like(weight)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, bias, ctx.eps = inputs
    ctx.save_for_backward(x, weight, bias, *output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    x, weight, bias, mean, inverse_std = ctx.saved_tensors
    gradients: tuple[Tensor | None, ...] = None, None, None
    if upstream is not None and torch.is_grad_enabled():
        formula = partial(F.batch_norm, running_mean=None, running_var=None, training=True)
        gradients = gradients_by_formula(
            lambda x, weight, bias: formula(x, weight=weight, bias=bias, eps=ctx.eps),
            (x, weight, bias),
            upstream,
        )
    elif upstream is not None:
        gradients = _batch_norm_backward(upstream, x, weight, mean, inverse_std, ctx.eps)
    return *gradients, None


_batch_norm.register_autograd(_differentiate, setup_context=_keep)
for _operator in (_batch_norm, _batch_norm_backward):
    register_vmap(_operator)
