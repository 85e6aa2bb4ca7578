"""External attention as one CPU operator that processes a few images at a time.

The attention maps of a batch are the largest tensors of a model, far larger than a processor's
cache. So each group of images goes through both matrix products and the normalisation between
them before the next group starts, as tiles do in Dao et al., 2022, "FlashAttention", arXiv
2205.14135. Only the map is written to memory, once, for the backward pass.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
from torch import Tensor

from eanet.models.dropout import Dropout, advance
from eanet.ops import kernels
from eanet.ops.dispatch import autocast_type, is_traced, needs_formulas, needs_gradient

GROUP_BYTES = 2**20  # of the map, per group and thread: the L2 cache of many processors


def can_fuse(x: Tensor) -> bool:
    """Return whether `fused_attention` supports these tokens, in autocast's type if that is on."""
    if x.device.type != "cpu" or torch.compiler.is_exporting() or needs_formulas(x):
        return False
    return _is_built(autocast_type(x))


def _is_built(dtype: torch.dtype) -> bool:
    return kernels.library(dtype) is not None


# All that torch.compiler.assume_constant_result does, without importing the compiler.
_is_built._dynamo_marked_constant = True  # type: ignore[attr-defined]


def fused_attention(x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, dropout: Dropout) -> Tensor:
    """Compute ``double_normalize(x w_in^T)``, then dropout, then the product with ``w_out^T``.

    Args:
        x: tokens ``(B, N, d)``.
        w_in: ``(h*S, d)``.
        w_out: ``(d, h*S)``.
        heads: h.
        dropout: applied to the attention map.

    Returns:
        ``(B, N, d)``, in autocast's type if that is on.
    """
    working = autocast_type(x)
    x, w_in, w_out = (t.to(working) for t in (x, w_in, w_out))
    attend = _attend if is_traced(x, w_in, w_out) else _compute
    kept = needs_gradient(x, w_in, w_out)
    return cast(Tensor, attend(x, w_in, w_out, heads, *dropout.draw(), kept)[0])


def _compute(
    x: Tensor, w_in: Tensor, w_out: Tensor, heads: int, seed: Tensor, threshold: int, kept: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``(B, N, d)``; if ``kept``, the map ``(B, N, h*S)`` and its divisors ``(B, N, h)``."""
    x = x.contiguous()
    images, tokens, width = *x.shape[:2], len(w_in)
    kernel, is_bfloat16 = _kernel(x), x.dtype == torch.bfloat16
    y, (a, sums) = torch.empty_like(x), _kept(x, w_in, heads, kept)
    w_in, w_out = w_in.mT, w_out.mT
    size = _group(x, width)
    buffer = x.new_empty(size * tokens, width)
    for first in range(0, images, size):
        here = slice(first, first + size)
        rows = x[here].flatten(0, 1)  # (b*N, d)
        logits = torch.mm(rows, w_in, out=buffer[: len(rows)])  # (b*N, h*S)
        whole = a[here].flatten(0, 1) if kept else logits  # (b*N, h*S)
        tensors = (kernels.pointer(t) for t in (logits, whole, logits))
        of_sums = kernels.pointer(sums[here]) if kept else None
        kernel.normalize_forward(
            is_bfloat16,
            *tensors,
            of_sums,
            *_arguments(x[here], heads, width, first, seed, threshold),
        )
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
    shape = x.shape[:2] if kept else (0, 0)
    return x.new_empty(*shape, len(w_in)), x.new_empty(*shape, heads, dtype=torch.float32)


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
    upstream, x = upstream.contiguous(), x.contiguous()
    images, tokens, width = a.shape
    kernel, is_bfloat16 = _kernel(x), x.dtype == torch.bfloat16
    of_x = torch.empty_like(x)
    # In single precision, as they are summed over groups; that of w_in is transposed.
    of_w_in = x.new_zeros(w_in.mT.shape, dtype=torch.float32)  # (d, h*S)
    of_w_out = x.new_zeros(w_out.shape, dtype=torch.float32)  # (d, h*S)
    size = _group(x, width)
    buffers = x.new_empty(2, size * tokens, width)
    for first in range(0, images, size):
        here = slice(first, first + size)
        rows, of_y = x[here].flatten(0, 1), upstream[here].flatten(0, 1)  # (b*N, d)
        g = torch.mm(of_y, w_out, out=buffers[0, : len(rows)])  # (b*N, h*S)
        left = buffers[1, : len(rows)] if threshold else a[here].flatten(0, 1)  # (b*N, h*S)
        tensors = (kernels.pointer(t) for t in (g, a[here], sums[here], g, left))
        arguments = _arguments(x[here], sums.shape[2], width, first, seed, threshold)
        kernel.normalize_backward(is_bfloat16, *tensors, *arguments)
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
    x, w_in, w_out, _, seed, ctx.threshold, _ = inputs
    _, a, sums = output
    ctx.save_for_backward(x, w_in, w_out, a, sums, seed)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    gradients = _attend_backward(upstream, *ctx.saved_tensors, ctx.threshold)
    return *gradients, None, None, None, None


_attend.register_autograd(_differentiate, setup_context=_keep)


def _kernel(x: Tensor) -> ctypes.CDLL:
    kernel = kernels.library(x.dtype)
    assert kernel is not None  # checked by can_fuse
    return kernel


def _arguments(
    x: Tensor, heads: int, width: int, first: int, seed: Tensor, threshold: int
) -> tuple[int, ...]:
    """Return the last arguments of the kernels, for images ``x`` of a batch from ``first`` on."""
    images, tokens = x.shape[:2]
    drawn = int(advance(seed, first * tokens, width))
    return images, tokens, heads, width // heads, drawn, threshold, torch.get_num_threads()


def _group(x: Tensor, width: int) -> int:
    """Return the number of images per group, a multiple of the threads, which share them."""
    threads = torch.get_num_threads()
    each = GROUP_BYTES // (x.shape[1] * width * x.element_size())
    return threads * max(1, each)
