"""Batch normalisation of tokens."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from eanet.ops.dispatch import is_compiled_on_cpu


class TokenBatchNorm(nn.BatchNorm1d):
    """Normalises each channel over all tokens of a batch; running statistics in evaluation.

    Ioffe and Szegedy, 2015, arXiv 1502.03167. After a convolution it gives higher accuracy than
    LayerNorm (docs/results.md). In distributed training, each process has its own statistics.

    Args:
        dim: width of the tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``."""
        rows = x.flatten(0, 1)  # (B * N, dim)
        follows = self.momentum is not None and self.running_mean is not None
        if not (self.training and follows and is_compiled_on_cpu(x)):
            return super().forward(rows).view_as(x)
        y, mean, inverse_std = _batch_norm(rows, self.weight, self.bias, self.eps)
        self._update_statistics(len(rows), mean, inverse_std)
        return cast(Tensor, y.view_as(x))

    @torch.no_grad()
    def _update_statistics(self, count: int, mean: Tensor, inverse_std: Tensor) -> None:
        """Move the running statistics towards those of a batch of ``count`` tokens."""
        momentum = cast(float, self.momentum)
        unbiased = (inverse_std**-2 - self.eps) * (count / (count - 1))
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(unbiased, momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)


def _compute(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the result, and the mean and the inverse standard deviation ``(dim,)`` of ``x``."""
    return torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)


# A custom operator: the code that torch.compile generates for the backward pass sums down columns
# and computes anew what follows the norm, which takes longer on a CPU (benchmarks/operations.py).
_batch_norm = torch.library.custom_op("eanet::batch_norm", _compute, mutates_args=())


@_batch_norm.register_fake
def _(x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)


@torch.library.custom_op("eanet::batch_norm_backward", mutates_args=())
def _batch_norm_backward(
    upstream: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse_std: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``x``, ``weight`` and ``bias``."""
    arguments = upstream.contiguous(), x, weight, None, None, mean, inverse_std
    backward = torch.ops.aten.native_batch_norm_backward
    gradients: tuple[Tensor, Tensor, Tensor] = backward(*arguments, True, eps, (True, True, True))
    return gradients


@_batch_norm_backward.register_fake
def _(upstream: Tensor, x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, _, ctx.eps = inputs
    ctx.save_for_backward(x, weight, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _differentiate(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    return *_batch_norm_backward(upstream, *ctx.saved_tensors, ctx.eps), None


_batch_norm.register_autograd(_differentiate, setup_context=_keep)
