"""The double normalisation of external attention, with the dropout that follows it.

Guo et al., 2021, arXiv 2105.02358, section 3.2, equation 6.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eanet.models.dropout import Dropout, scaled_mask
from eanet.ops import kernels
from eanet.ops.dispatch import is_plain, is_traced, needs_formulas


def double_normalize(logits: Tensor, dropout: Dropout | None = None) -> Tensor:
    """Softmax over tokens, then division by the sum over slots.

    Computed as ``softmax over slots of (l - logsumexp over tokens of l)``, which is the same
    function without an epsilon and without overflow, in float32 or a wider type.

    Args:
        logits: ``(B, N, h, S)``: B images, N tokens, h heads, S memory slots.
        dropout: applied to the result; the CPU kernel does it without another pass over memory.

    Returns:
        ``(B, N, h, S)`` in the type of ``logits``; without dropout, each token's weights over its
        slots sum to 1. Differentiable once, except with `torch.func`.
    """
    if dropout is not None and not is_plain(dropout, Dropout):
        return cast(Tensor, dropout(double_normalize(logits)))
    if needs_formulas(logits):
        a = _forward(logits)[0]
        return a if dropout is None else cast(Tensor, dropout(a))
    if logits.device.type != "cpu" or torch.compiler.is_exporting():
        a = cast(Tensor, _DoubleNormalize.apply(logits))  # type: ignore[no-untyped-call]
        return a if dropout is None else cast(Tensor, dropout(a))
    normalize = _normalize_and_drop if is_traced(logits) else _compute
    return cast(Tensor, normalize(logits, *(dropout or Dropout()).draw())[0])


# With p the softmax over tokens and r its sum over slots, the result is a = p / r. Since p = a * r,
# the backward pass needs only a and r (one number per token and head), no exponentials. By itself,
# autograd would store or recompute them (`benchmarks/operations.py`).


def _wide(x: Tensor) -> Tensor:
    """Convert to float32, unless the type is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _forward(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the map a ``(B, N, h, S)`` and r ``(B, N, h, 1)``."""
    wide = _wide(logits)
    log_p = wide - wide.logsumexp(dim=1, keepdim=True)  # (B, N, h, S)
    highest = log_p.amax(dim=-1, keepdim=True)
    e = (log_p - highest).exp()
    total = e.sum(dim=-1, keepdim=True)
    return (e / total).to(logits.dtype), highest.exp() * total


def _backward(upstream: Tensor, a: Tensor, r: Tensor) -> Tensor:
    g, a = _wide(upstream), _wide(a)
    s = a * (g - (a * g).sum(dim=-1, keepdim=True))  # through the softmax over slots
    return s - a * (r * s.sum(dim=1, keepdim=True))  # and through that over tokens


class _DoubleNormalize(torch.autograd.Function):
    """For devices on which the compiler generates good code from the formulas."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        a, r = _forward(logits)
        ctx.save_for_backward(a, r)
        return a

    @staticmethod
    @once_differentiable  # r is no constant, as a second derivative would take it to be
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _backward(gradient, *ctx.saved_tensors).to(gradient.dtype)


# On a CPU, one custom operator that the compiler does not trace; it calls the kernel if available.
# The first result is the output, the others are kept for the backward pass.


def _compute(logits: Tensor, seed: Tensor, threshold: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the map after dropout, the map before it (empty if nothing is dropped) and r."""
    logits = logits.contiguous()
    kernel = kernels.library(logits.dtype)
    if kernel is None:
        a, r = _forward(logits)
        if not threshold:
            return a, logits.new_empty(0), r
        return (_mask(a, seed, threshold) * a).to(a.dtype), a, r
    a, r = torch.empty_like(logits), logits.new_empty((*logits.shape[:3], 1), dtype=torch.float32)
    dropped = torch.empty_like(logits) if threshold else logits.new_empty(0)
    tensors = (kernels.pointer(t) for t in (logits, a, dropped, r))
    kernel.normalize_forward(
        a.dtype == torch.bfloat16, *tensors, *_arguments(logits, seed, threshold)
    )
    return (dropped, a, r) if threshold else (a, dropped, r)


_normalize_and_drop = torch.library.custom_op(
    "eanet::normalize_and_drop", _compute, mutates_args=(), device_types="cpu"
)


@_normalize_and_drop.register_fake
def _(logits: Tensor, seed: Tensor, threshold: int) -> tuple[Tensor, Tensor, Tensor]:
    like = torch.empty_like(logits, memory_format=torch.contiguous_format)
    wide = torch.promote_types(logits.dtype, torch.float32)
    r = logits.new_empty((*logits.shape[:3], 1), dtype=wide)
    return like, torch.empty_like(like) if threshold else logits.new_empty(0), r


@torch.library.custom_op("eanet::normalize_and_drop_backward", mutates_args=(), device_types="cpu")
def _normalize_and_drop_backward(
    upstream: Tensor, a: Tensor, r: Tensor, seed: Tensor, threshold: int
) -> Tensor:
    kernel = kernels.library(a.dtype)
    if kernel is None:
        mask = _mask(a, seed, threshold) if threshold else 1
        return _backward(mask * upstream, a, r).to(a.dtype)
    gradient, upstream = torch.empty_like(a), upstream.contiguous()
    tensors = (kernels.pointer(t) for t in (upstream, a, r, gradient))
    kernel.normalize_backward(
        a.dtype == torch.bfloat16, *tensors, None, *_arguments(a, seed, threshold)
    )
    return gradient


@_normalize_and_drop_backward.register_fake
def _(upstream: Tensor, a: Tensor, r: Tensor, seed: Tensor, threshold: int) -> Tensor:
    return torch.empty_like(a)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, ...]) -> None:
    _, seed, ctx.threshold = inputs
    first, whole, r = output
    ctx.save_for_backward(whole if ctx.threshold else first, r, seed)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, None, None]:
    a, r, seed = ctx.saved_tensors
    return _normalize_and_drop_backward(gradient, a, r, seed, ctx.threshold), None, None


_normalize_and_drop.register_autograd(_differentiate, setup_context=_keep)


def _arguments(x: Tensor, seed: Tensor, threshold: int) -> tuple[int, ...]:
    return *x.shape, int(seed), threshold, torch.get_num_threads()


def _mask(a: Tensor, seed: Tensor, threshold: int) -> Tensor:
    return scaled_mask(a, a.shape[2:].numel(), seed, threshold)
