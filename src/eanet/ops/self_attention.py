"""Self-attention as one CPU operator that processes a few heads at a time.

`torch.nn.functional.scaled_dot_product_attention` has no fused form with dropout on CPUs, and its
fallback spends most of a training step drawing random numbers. In bfloat16 its fused form is slower
than compiled kernels (``benchmarks/operations.py``). The maps are by far the largest tensors of a
model. Here they are processed in groups of whole heads, which stay in cache up to some 700 tokens.
The backward pass draws the dropout anew; it also computes large maps anew, of which no more than a
group is then in memory, while small ones are kept, since that is faster. Groups and recomputing
follow Dao et al., 2022, "FlashAttention", arXiv 2205.14135.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from eanet.ops import kernels
from eanet.ops.dispatch import (
    autocast_type,
    gradients_by_formula,
    is_traced,
    needs_gradient,
    register_vmap,
)
from eanet.ops.random_bytes import advance, scaled_mask

GROUP_BYTES = 2**20  # of the maps, per group and thread: the L2 cache of many processors
KEPT_BYTES = 2**28  # of the maps of a batch, at most, that a layer keeps


def fused_self_attention(
    q: Tensor, k: Tensor, v: Tensor, seed: Tensor | None = None, threshold: int = 0
) -> Tensor:
    """Compute ``softmax(q k^T)``, then dropout, then the product with ``v``.

    Args:
        q: queries ``(B, h, N, k)``, already scaled.
        k: keys ``(B, h, N, k)``.
        v: values ``(B, h, N, k)``.
        seed: of shape (), on the CPU; entries of the attention map are dropped by it.
        threshold: probability of dropping an entry, in 256ths; 0 for no dropout.

    Returns:
        ``(B, h, N, k)``.
    """
    if seed is None:
        seed = torch.zeros((), dtype=torch.int64, device="cpu")
    heads, working = q.shape[:2], autocast_type(q)
    q, k, v = (t.flatten(0, 1).to(working) for t in (q, k, v))  # (B, h, N, k) -> (B*h, N, k)
    attend = _self_attend if is_traced(q, k, v) else _compute
    small = len(q) * q.shape[1] ** 2 * q.element_size() <= KEPT_BYTES
    y, _ = attend(q, k, v, seed, threshold, small and needs_gradient(q, k, v))
    return cast(Tensor, y.unflatten(0, heads))  # (B*h, N, k) -> (B, h, N, k)


def _formula(q: Tensor, k: Tensor, v: Tensor, seed: Tensor, threshold: int) -> Tensor:
    """The same of tensor operations: ``(M, N, k)``."""
    a = _plain_softmax(q @ k.mT)  # (M, N, N)
    return (a * _mask(a, seed, threshold)).to(v.dtype) @ v


def _compute(
    q: Tensor, k: Tensor, v: Tensor, seed: Tensor, threshold: int, kept: bool
) -> tuple[Tensor, Tensor]:
    """Return the result ``(M, N, k)`` and, if ``kept``, the map ``(M, N, N)`` before dropout."""
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    y, a = torch.empty_like(v), _kept(q, kept)
    for here, drawn in _groups(q, seed):
        scores = _product(q[here], k[here].mT)  # (m, N, N)
        left = _softmax(scores, a[here] if kept else None, drawn, threshold)
        torch.bmm(left, v[here], out=y[here])
    return y, a


_self_attend = torch.library.custom_op(
    "eanet::self_attend", _compute, mutates_args=(), device_types="cpu"
)


@_self_attend.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, seed: Tensor, threshold: int, kept: bool
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(v, memory_format=torch.contiguous_format), _kept(q, kept)


def _kept(q: Tensor, kept: bool) -> Tensor:
    """Allocate the map; an empty tensor if it is not kept."""
    return q.new_empty(len(q), q.shape[1], q.shape[1]) if kept else q.new_empty(0)


@torch.library.custom_op("eanet::self_attend_backward", mutates_args=(), device_types="cpu")
def _self_attend_backward(
    upstream: Tensor, q: Tensor, k: Tensor, v: Tensor, a: Tensor, seed: Tensor, threshold: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``q``, ``k`` and ``v``."""
    upstream, q, k, v, a = (t.contiguous() for t in (upstream, q, k, v, a))
    of_q, of_k, of_v = (torch.empty_like(t) for t in (q, k, v))
    for here, drawn in _groups(q, seed):
        g = _product(upstream[here], v[here].mT)  # (m, N, N)
        scores = torch.empty_like(g) if len(a) else _product(q[here], k[here].mT)  # (m, N, N)
        left, g = _softmax_backward(scores, a[here] if len(a) else None, g, drawn, threshold)
        torch.bmm(g, k[here], out=of_q[here])
        torch.bmm(g.mT, q[here], out=of_k[here])
        torch.bmm(left.mT, upstream[here], out=of_v[here])
    return of_q, of_k, of_v


@_self_attend_backward.register_fake
def _(upstream: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    made = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (q, k, v))
    return cast(tuple[Tensor, Tensor, Tensor], tuple(made))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, seed, ctx.threshold, _ = inputs
    ctx.save_for_backward(q, k, v, output[1], seed)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:
    q, k, v, a, seed = ctx.saved_tensors
    gradients: tuple[Tensor | None, ...] = None, None, None
    if upstream is not None and torch.is_grad_enabled():
        formula = partial(_formula, seed=seed, threshold=ctx.threshold)
        gradients = gradients_by_formula(formula, (q, k, v), upstream)
    elif upstream is not None:
        gradients = _self_attend_backward(upstream, q, k, v, a, seed, ctx.threshold)
    return *gradients, None, None, None


_self_attend.register_autograd(_differentiate, setup_context=_keep)
for _operator in (_self_attend, _self_attend_backward):
    register_vmap(_operator)


@register_flop_formula(torch.ops.eanet.self_attend)
def _(q: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * _flops_of_product(q)


@register_flop_formula(torch.ops.eanet.self_attend_backward)
def _(
    upstream: Any, q: Any, k: Any, v: Any, a: Any, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    return (4 if a[0] else 5) * _flops_of_product(q)  # five if the map is computed anew


def _flops_of_product(q: Any) -> int:
    """Operations of the product of queries ``(M, N, k)`` and keys."""
    maps, tokens, width = q
    return int(2 * maps * tokens**2 * width)


def _groups(q: Tensor, seed: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Divide the maps of ``q`` into groups that fit in cache, if one does.

    Yields where each is, and its seed.
    """
    tokens = q.shape[1]
    each = tokens**2 * q.element_size()
    size = max(1, torch.get_num_threads() * GROUP_BYTES // max(1, each))
    for first in range(0, len(q), size):
        yield slice(first, first + size), advance(seed, first * tokens, tokens)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices in their own type, whatever autocast says when the gradient is computed."""
    return torch.bmm(a, b, out=a.new_empty(len(a), a.shape[1], b.shape[2]))


def _softmax(scores: Tensor, a: Tensor | None, seed: Tensor, threshold: int) -> Tensor:
    """Return the map ``(m, N, N)`` after dropout; write that before to ``a``.

    Overwrites ``scores``.
    """
    kernel, is_bfloat16 = kernels.library(scores.dtype), scores.dtype == torch.bfloat16
    if kernel is None:
        whole = _plain_softmax(scores)
        if a is not None:
            a.copy_(whole)
        return (whole * _mask(scores, seed, threshold)).to(scores.dtype)
    pointers = scores.data_ptr(), None if a is None else a.data_ptr()
    kernel.softmax_forward(is_bfloat16, *pointers, *_arguments(scores, seed, threshold))
    return scores if a is None or threshold else a


def _softmax_backward(
    scores: Tensor, a: Tensor | None, upstream: Tensor, seed: Tensor, threshold: int
) -> tuple[Tensor, Tensor]:
    """Return the map after dropout and the gradient of the scores.

    Args:
        scores: ``(m, N, N)``; overwritten, and not read if ``a`` is given.
        a: the map before dropout.
        upstream: gradient of the map after dropout; overwritten.
        seed: as in the forward pass.
        threshold: likewise.
    """
    kernel, is_bfloat16 = kernels.library(scores.dtype), scores.dtype == torch.bfloat16
    if kernel is None:
        whole = _plain_softmax(scores) if a is None else a.to(_wide(a))
        mask = _mask(scores, seed, threshold)
        g = upstream * mask
        g = whole * (g - (whole * g).sum(dim=-1, keepdim=True))
        return (whole * mask).to(scores.dtype), g.to(scores.dtype)
    of_map = None if a is None else a.data_ptr()
    pointers = scores.data_ptr(), of_map, upstream.data_ptr()
    kernel.softmax_backward(is_bfloat16, *pointers, *_arguments(scores, seed, threshold))
    return scores if a is None or threshold else a, upstream


def _arguments(scores: Tensor, seed: Tensor, threshold: int) -> tuple[int, ...]:
    width = scores.shape[-1]
    return scores.numel() // max(width, 1), width, int(seed), threshold, torch.get_num_threads()


def _plain_softmax(scores: Tensor) -> Tensor:
    return scores.softmax(dim=-1, dtype=_wide(scores))


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _mask(scores: Tensor, seed: Tensor, threshold: int) -> Tensor | int:
    return scaled_mask(scores, scores.shape[-1], seed, threshold) if threshold else 1
