"""Self-attention as one CPU operator that processes a few heads at a time.

`torch.nn.functional.scaled_dot_product_attention` has no fused form with dropout on CPUs, and its
fallback spends most of a training step drawing random numbers. In bfloat16 its fused form is slower
as well (``benchmarks/operations.py``). The maps are by far the largest tensors of a model. Here
they are processed in groups of whole heads, which stay in cache up to some 700 tokens. The backward
pass draws the dropout anew; it also computes large maps anew, of which no more than a group is then
in memory, while small ones are kept, since that is faster. Groups and recomputing follow Dao et
al., 2022, "FlashAttention", arXiv 2205.14135.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from eanet.models.dropout import Dropout, advance, scaled_mask
from eanet.ops import kernels
from eanet.ops.dispatch import autocast_type, is_traced, needs_gradient

GROUP_BYTES = 2**20  # of the maps, per group and thread: the L2 cache of many processors
KEPT_BYTES = 2**28  # of the maps of a batch, at most, that a layer keeps


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
    heads, working = q.shape[:2], autocast_type(q)
    q, k, v = (t.flatten(0, 1).to(working) for t in (q, k, v))  # (B, h, N, k) -> (B*h, N, k)
    attend = _self_attend if is_traced(q, k, v) else _compute
    small = len(q) * q.shape[1] ** 2 * q.element_size() <= KEPT_BYTES
    y, _ = attend(q, k, v, *dropout.draw(), small and needs_gradient(q, k, v))
    return cast(Tensor, y.unflatten(0, heads))  # (B*h, N, k) -> (B, h, N, k)


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
    upstream, q, k, v = (t.contiguous() for t in (upstream, q, k, v))
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
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    gradients = _self_attend_backward(upstream, *ctx.saved_tensors, ctx.threshold)
    return *gradients, None, None, None


_self_attend.register_autograd(_differentiate, setup_context=_keep)


def _groups(q: Tensor, seed: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Divide the maps of ``q`` into groups that fit in cache, if one does.

    Yields where each is, and its seed.
    """
    tokens = q.shape[1]
    each = tokens**2 * q.element_size()
    size = max(1, torch.get_num_threads() * GROUP_BYTES // each)
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
    tensors = kernels.pointer(scores), None if a is None else kernels.pointer(a)
    kernel.softmax_forward(is_bfloat16, *tensors, *_arguments(scores, seed, threshold))
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
    of_map = None if a is None else kernels.pointer(a)
    tensors = kernels.pointer(scores), of_map, kernels.pointer(upstream)
    kernel.softmax_backward(is_bfloat16, *tensors, *_arguments(scores, seed, threshold))
    return scores if a is None or threshold else a, upstream


def _arguments(scores: Tensor, seed: Tensor, threshold: int) -> tuple[int, ...]:
    width = scores.shape[-1]
    return scores.numel() // width, width, int(seed), threshold, torch.get_num_threads()


def _plain_softmax(scores: Tensor) -> Tensor:
    return scores.softmax(dim=-1, dtype=_wide(scores))


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _mask(scores: Tensor, seed: Tensor, threshold: int) -> Tensor | int:
    return scaled_mask(scores, scores.shape[-1], seed, threshold) if threshold else 1
