"""Self-attention with dropout as one CPU operator.

`torch.nn.functional.scaled_dot_product_attention` has no fused form with dropout on CPUs, and its
fallback spends most of a training step drawing random numbers. In bfloat16 its fused form is slower
as well (``benchmarks/operations.py``). The maps are the largest tensors of a model, so only the one
before dropout is kept for the backward pass, which draws the dropout again.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
from torch import Tensor

from eanet.models import kernels
from eanet.models.dropout import Dropout, scaled_mask
from eanet.models.tracing import is_traced

c_int64, c_uint64 = ctypes.c_int64, ctypes.c_uint64


def fused_self_attention(q: Tensor, k: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Compute ``softmax(q k^T)``, then dropout, then the product with ``v``.

    Args:
        q: queries ``(B, h, N, k)``, already scaled.
        k: keys ``(B, h, N, k)``.
        v: values ``(B, h, N, k)``.
        dropout: applied to the attention map.

    Returns:
        ``(B, h, N, k)``.
    """
    heads = q.shape[:2]
    q, k, v = (t.flatten(0, 1) for t in (q, k, v))  # (B, h, N, k) -> (B*h, N, k)
    attend = _self_attend if is_traced(q, k, v) else _compute
    y = attend(q, k, v, *dropout.draw())[0]
    return cast(Tensor, y.unflatten(0, heads))  # (B*h, N, k) -> (B, h, N, k)


def _compute(
    q: Tensor, k: Tensor, v: Tensor, seed: Tensor, threshold: int
) -> tuple[Tensor, Tensor]:
    """Return the result ``(M, N, k)`` and the map ``(M, N, N)`` before dropout."""
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    scores = q @ k.mT  # (M, N, N)
    kernel = _kernel(q)
    if kernel is None:
        a = scores.softmax(dim=-1)
        left = (a * _mask(a, seed, threshold)).to(a.dtype) if threshold else a
    else:
        a = torch.empty_like(scores)
        tensors = (kernels.pointer(t) for t in (scores, a, scores))
        kernel.softmax_forward(*tensors, *_arguments(a, seed, threshold))
        left = scores if threshold else a
    return left @ v, a


_self_attend = torch.library.custom_op(
    "eanet::self_attend", _compute, mutates_args=(), device_types="cpu"
)


@_self_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(v, memory_format=torch.contiguous_format)
    return y, q.new_empty(*q.shape[:2], q.shape[1])


@torch.library.custom_op("eanet::self_attend_backward", mutates_args=(), device_types="cpu")
def _self_attend_backward(
    upstream: Tensor, q: Tensor, k: Tensor, v: Tensor, a: Tensor, seed: Tensor, threshold: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``q``, ``k`` and ``v``."""
    upstream, q, k, v = (t.contiguous() for t in (upstream, q, k, v))
    g = upstream @ v.mT  # (M, N, N)
    kernel = _kernel(q)
    if kernel is None:
        wide = torch.promote_types(a.dtype, torch.float32)
        mask = _mask(a, seed, threshold) if threshold else torch.ones_like(a, dtype=wide)
        g, left = g * mask, (a * mask).to(a.dtype)
        g = (a * (g - (a * g).sum(dim=-1, keepdim=True))).to(a.dtype)
    else:
        left = torch.empty_like(a) if threshold else a
        tensors = (kernels.pointer(t) for t in (g, a, g, left))
        kernel.softmax_backward(*tensors, *_arguments(a, seed, threshold))
    return g @ k, g.mT @ q, left.mT @ upstream


@_self_attend_backward.register_fake
def _(upstream: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    made = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (q, k, v))
    return cast(tuple[Tensor, Tensor, Tensor], tuple(made))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, seed, ctx.threshold = inputs
    ctx.save_for_backward(q, k, v, output[1], seed)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    return *_self_attend_backward(upstream, *ctx.saved_tensors, ctx.threshold), None, None


_self_attend.register_autograd(_differentiate, setup_context=_keep)


def _kernel(x: Tensor) -> ctypes.CDLL | None:
    number = kernels.NUMBERS.get(x.dtype)
    return None if number is None else kernels.load(BFLOAT16=number)


def _arguments(a: Tensor, seed: Tensor, threshold: int) -> tuple[Any, ...]:
    width = a.shape[-1]
    shape = c_int64(a.numel() // width), c_int64(width)
    return *shape, c_uint64(int(seed)), threshold, torch.get_num_threads()


def _mask(a: Tensor, seed: Tensor, threshold: int) -> Tensor:
    return scaled_mask(a, a.shape[-1], seed, threshold)
