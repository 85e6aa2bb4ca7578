"""The softmax of self-attention with the dropout that follows it, on a CPU.

`torch.nn.functional.scaled_dot_product_attention` has no fused form with dropout there, and the
one that it falls back to takes most of a training step for drawing random numbers.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
from torch import Tensor

from eanet.models import kernels
from eanet.models.dropout import Dropout, scaled_mask

c_int64, c_uint64 = ctypes.c_int64, ctypes.c_uint64


def softmax_and_drop(scores: Tensor, dropout: Dropout) -> Tensor:
    """Softmax over the last dimension, then dropout: any shape, on a CPU."""
    return cast(Tensor, _softmax_and_drop(scores, *dropout.draw())[0])


@torch.library.custom_op("eanet::softmax_and_drop", mutates_args=(), device_types="cpu")
def _softmax_and_drop(scores: Tensor, seed: Tensor, threshold: int) -> tuple[Tensor, Tensor]:
    """The map with ``threshold`` 256ths dropped; and the whole map, unless it is the first."""
    scores = scores.contiguous()
    kernel = _kernel(scores)
    nothing = scores.new_empty(0)
    if kernel is None:
        a = scores.softmax(dim=-1)
        return ((a * _mask(a, seed, threshold)).to(a.dtype), a) if threshold else (a, nothing)
    a, dropped = torch.empty_like(scores), torch.empty_like(scores) if threshold else nothing
    tensors = (kernels.pointer(t) for t in (scores, a, dropped))
    kernel.softmax_forward(*tensors, *_arguments(scores, seed, threshold))
    return (dropped, a) if threshold else (a, nothing)


@_softmax_and_drop.register_fake
def _(scores: Tensor, seed: Tensor, threshold: int) -> tuple[Tensor, Tensor]:
    like = torch.empty_like(scores, memory_format=torch.contiguous_format)
    return like, torch.empty_like(like) if threshold else scores.new_empty(0)


@torch.library.custom_op("eanet::softmax_and_drop_backward", mutates_args=(), device_types="cpu")
def _softmax_and_drop_backward(upstream: Tensor, a: Tensor, seed: Tensor, threshold: int) -> Tensor:
    kernel = _kernel(a)
    if kernel is None:
        g = upstream.to(torch.promote_types(a.dtype, torch.float32))
        g = g * _mask(a, seed, threshold) if threshold else g
        return (a * (g - (a * g).sum(dim=-1, keepdim=True))).to(a.dtype)
    gradient, upstream = torch.empty_like(a), upstream.contiguous()
    tensors = (kernels.pointer(t) for t in (upstream, a, gradient))
    kernel.softmax_backward(*tensors, *_arguments(a, seed, threshold))
    return gradient


@_softmax_and_drop_backward.register_fake
def _(upstream: Tensor, a: Tensor, seed: Tensor, threshold: int) -> Tensor:
    return torch.empty_like(a)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, Tensor]) -> None:
    _, seed, ctx.threshold = inputs
    first, whole = output
    ctx.save_for_backward(whole if ctx.threshold else first, seed)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor, None, None]:
    return _softmax_and_drop_backward(gradient, *ctx.saved_tensors, ctx.threshold), None, None


_softmax_and_drop.register_autograd(_differentiate, setup_context=_keep)


def _kernel(x: Tensor) -> ctypes.CDLL | None:
    number = kernels.NUMBERS.get(x.dtype)
    return None if number is None else kernels.load(BFLOAT16=number)


def _arguments(x: Tensor, seed: Tensor, threshold: int) -> tuple[Any, ...]:
    width = x.shape[-1]
    shape = c_int64(x.numel() // width), c_int64(width)
    return *shape, c_uint64(int(seed)), threshold, torch.get_num_threads()


def _mask(a: Tensor, seed: Tensor, threshold: int) -> Tensor:
    return scaled_mask(a, a.shape[-1], seed, threshold)
