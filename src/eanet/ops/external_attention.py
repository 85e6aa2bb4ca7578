"""External attention as one CPU operator that processes a few images at a time.

The attention maps of a batch are the largest tensors of a model, far larger than a processor's
cache. So each group of images goes through both matrix products and the normalisation between
them before the next group starts, as tiles do in Dao et al., 2022, "FlashAttention", arXiv
2205.14135. Only the map is written to memory, once, for the backward pass.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from eanet.ops import double_normalization, kernels
from eanet.ops.dispatch import (
    autocast_type,
    gradients_by_formula,
    is_traced,
    needs_gradient,
    register_vmap,
    uses_cpu_operator,
)
from eanet.ops.double_normalization import double_normalize
from eanet.ops.random_bytes import advance

GROUP_BYTES = 2**20  # of the map, per group and thread: the L2 cache of many processors


def can_fuse(x: Tensor, *weights: Tensor) -> bool:
    """Return whether `fused_attention` is the way for these tokens, in autocast's type if it is on.

    It is if there are kernels for them; without, it saves nothing. Weights of another type are left
    to PyTorch, which refuses them.
    """
    working = autocast_type(x)
    of_one_type = all(autocast_type(weight) == working for weight in weights)
    return of_one_type and uses_cpu_operator(x) and _has_kernel(working)


def _has_kernel(dtype: torch.dtype) -> bool:
    return kernels.library(dtype) is not None


# All that torch.compiler.assume_constant_result does, without importing the compiler.
_has_kernel._dynamo_marked_constant = True  # type: ignore[attr-defined]


def fused_attention(
    x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, seed: Tensor, threshold: int
) -> Tensor:
    """Compute ``double_normalize(x w_in^T)``, then dropout, then the product with ``w_out^T``.

    Args:
        x: tokens ``(B, N, d)``.
        w_in: ``(h*S, d)``.
        w_out: ``(d, h*S)``.
        heads: h.
        seed: of shape (), on the CPU; entries of the attention map are dropped by it.
        threshold: probability of dropping an entry, in 256ths; 0 for no dropout.

    Returns:
        ``(B, N, d)``, in autocast's type if that is on.
    """
    working = autocast_type(x)
    x, w_in, w_out = (t.to(working) for t in (x, w_in, w_out))
    attend = _attend if is_traced(x, w_in, w_out) else _compute
    kept = needs_gradient(x, w_in, w_out)
    return cast(Tensor, attend(x, w_in, w_out, heads, seed, threshold, kept)[0])


def _formula(
    x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, seed: Tensor, threshold: int
) -> Tensor:
    """The same of tensor operations and `double_normalize`: ``(B, N, d)``."""
    a = double_normalize((x @ w_in.mT).unflatten(-1, (heads, -1)), seed, threshold)  # (B, N, h, S)
    return a.flatten(2) @ w_out.mT  # (B, N, h*S) -> (B, N, d)


def _compute(
    x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, seed: Tensor, threshold: int, kept: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``(B, N, d)``; if ``kept``, the map ``(B, N, h*S)`` and its divisors ``(B, N, h)``."""
    x = x.contiguous()
    images, tokens, width = *x.shape[:2], len(w_in)
    kernel, is_bfloat16 = kernels.library(x.dtype), x.dtype == torch.bfloat16
    y, (a, sums) = torch.empty_like(x), _kept(x, w_in, heads, kept)
    w_in, w_out = w_in.mT, w_out.mT
    size = _group(x, width)
    buffer = x.new_empty(size * tokens, width)
    for first in range(0, images, size):
        here = slice(first, first + size)
        rows = x[here].flatten(0, 1)  # (b*N, d)
        logits = torch.mm(rows, w_in, out=buffer[: len(rows)])  # (b*N, h*S)
        whole = a[here].flatten(0, 1) if kept else logits  # (b*N, h*S)
        shape = (len(x[here]), tokens, heads, width // heads)
        drawn = advance(seed, first * tokens, width)
        if kernel is None:
            left, before, r = double_normalization.compute(logits.view(shape), drawn, threshold)
            if kept:
                whole.copy_((before if threshold else left).view(whole.shape))
                sums[here].copy_(r.squeeze(-1))
            left = left.view(logits.shape)  # (b*N, h*S)
        else:
            pointers = (t.data_ptr() for t in (logits, whole, logits))
            of_sums = sums[here].data_ptr() if kept else None
            numbers = (*shape, int(drawn), threshold, torch.get_num_threads())
            kernel.normalize_forward(is_bfloat16, *pointers, of_sums, *numbers)
            left = logits if threshold else whole  # (b*N, h*S)
        torch.mm(left, w_out, out=y[here].view(rows.shape))
    return y, a, sums


_attend = torch.library.custom_op("eanet::attend", _compute, mutates_args=(), device_types="cpu")


@_attend.register_fake
def _(
    x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, seed: Tensor, threshold: int, kept: bool
) -> tuple[Tensor, Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, *_kept(x, w_in, heads, kept)


def _kept(x: Tensor, w_in: Tensor, heads: int, kept: bool) -> tuple[Tensor, Tensor]:
    """Allocate what the backward pass needs; empty tensors if there will be none."""
    shape, wide = x.shape[:2] if kept else (0, 0), torch.promote_types(x.dtype, torch.float32)
    return x.new_empty(*shape, len(w_in)), x.new_empty(*shape, heads, dtype=wide)


@torch.library.custom_op("eanet::attend_backward", mutates_args=(), device_types="cpu")
def _attend_backward(
    upstream: Tensor,
    x: Tensor,
    w_in: Tensor,
    w_out: Tensor,
    a: Tensor,
    sums: Tensor,
    seed: Tensor,
    threshold: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``x``, ``w_in`` and ``w_out``."""
    upstream, x, a, sums = (t.contiguous() for t in (upstream, x, a, sums))
    images, tokens, width = a.shape
    heads = sums.shape[2]
    kernel, is_bfloat16 = kernels.library(x.dtype), x.dtype == torch.bfloat16
    of_x = torch.empty_like(x)
    # In single precision or wider, as they are summed over groups; that of w_in is transposed.
    of_w_in = x.new_zeros(w_in.mT.shape, dtype=sums.dtype)  # (d, h*S)
    of_w_out = x.new_zeros(w_out.shape, dtype=sums.dtype)  # (d, h*S)
    size = _group(x, width)
    buffers = x.new_empty(2, size * tokens, width)
    for first in range(0, images, size):
        here = slice(first, first + size)
        rows, of_y = x[here].flatten(0, 1), upstream[here].flatten(0, 1)  # (b*N, d)
        g = torch.mm(of_y, w_out, out=buffers[0, : len(rows)])  # (b*N, h*S)
        shape = (len(x[here]), tokens, heads, width // heads)
        drawn = advance(seed, first * tokens, width)
        if kernel is None:
            whole, r = a[here].view(shape), sums[here].unsqueeze(-1)  # (b, N, h, S), (b, N, h, 1)
            gradient = double_normalization.compute_backward(
                g.view(shape), whole, r, drawn, threshold
            )
            left = double_normalization.drop(whole, drawn, threshold).view(g.shape)  # (b*N, h*S)
            g = gradient.view(g.shape)  # (b*N, h*S)
        else:
            left = buffers[1, : len(rows)] if threshold else a[here].flatten(0, 1)  # (b*N, h*S)
            pointers = (t.data_ptr() for t in (g, a[here], sums[here], g, left))
            numbers = (*shape, int(drawn), threshold, torch.get_num_threads())
            kernel.normalize_backward(is_bfloat16, *pointers, *numbers)
        torch.mm(g, w_in, out=of_x[here].view(rows.shape))
        of_w_in += torch.mm(rows.mT, g)
        of_w_out += torch.mm(of_y.mT, left)
    return of_x, of_w_in.mT.to(w_in.dtype).contiguous(), of_w_out.to(w_out.dtype)


@_attend_backward.register_fake
def _(
    upstream: Tensor, x: Tensor, w_in: Tensor, w_out: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    made = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, w_in, w_out))
    return cast(tuple[Tensor, Tensor, Tensor], tuple(made))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, w_in, w_out, ctx.heads, seed, ctx.threshold, ctx.kept = inputs
    _, a, sums = output
    ctx.save_for_backward(x, w_in, w_out, a, sums, seed)
    ctx.mark_non_differentiable(a, sums)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    x, w_in, w_out, a, sums, seed = ctx.saved_tensors
    gradients: tuple[Tensor | None, ...] = None, None, None
    if upstream is not None and (torch.is_grad_enabled() or not ctx.kept):
        formula = partial(_formula, heads=ctx.heads, seed=seed, threshold=ctx.threshold)
        gradients = gradients_by_formula(formula, (x, w_in, w_out), upstream)
    elif upstream is not None:
        gradients = _attend_backward(upstream, x, w_in, w_out, a, sums, seed, ctx.threshold)
    return *gradients, None, None, None, None


_attend.register_autograd(_differentiate, setup_context=_keep)
for _operator in (_attend, _attend_backward):
    register_vmap(_operator)


@register_flop_formula(torch.ops.eanet.attend)
def _(x: Any, w_in: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * _flops_of_product(x, w_in)


@register_flop_formula(torch.ops.eanet.attend_backward)
def _(upstream: Any, x: Any, w_in: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 4 * _flops_of_product(x, w_in)


def _flops_of_product(x: Any, w_in: Any) -> int:
    """Operations of the product of shapes ``(B, N, d)`` and ``(h*S, d)``."""
    images, tokens, dim = x
    return int(2 * images * tokens * dim * w_in[0])


def _group(x: Tensor, width: int) -> int:
    """Return the number of images per group, a multiple of the threads, which share them."""
    each = x.shape[1] * width * x.element_size()
    return torch.get_num_threads() * max(1, GROUP_BYTES // max(1, each))
