"""The double normalisation of external attention, with the dropout that follows it.

Guo et al., 2021, arXiv 2105.02358, section 3.2, equation 6.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from eanet.ops import kernels
from eanet.ops.dispatch import is_traced, needs_formulas, register_vmap, uses_cpu_operator
from eanet.ops.random_bytes import scaled_mask


def double_normalize(logits: Tensor, seed: Tensor | None = None, threshold: int = 0) -> Tensor:
    """Softmax over tokens, then division by the sum over slots; then dropout, if any.

    Computed as ``softmax over slots of (l - logsumexp over tokens of l)``, which is the same
    function without an epsilon and without overflow, in float32 or a wider type.

    Args:
        logits: ``(B, N, h, S)``: B images, N tokens, h heads, S memory slots.
        seed: of shape (), on the CPU; the CPU kernel drops entries of the result by it without
            another pass over memory.
        threshold: probability of dropping an entry, in 256ths; 0 for no dropout.

    Returns:
        ``(B, N, h, S)`` in the type of ``logits``; without dropout, each token's weights over its
        slots sum to 1.
    """
    if seed is None:
        seed = torch.zeros((), dtype=torch.int64, device="cpu")
    if uses_cpu_operator(logits):
        normalize = _normalize_and_drop if is_traced(logits) else compute
        return cast(Tensor, normalize(logits, seed, threshold)[0])
    if needs_formulas(logits):
        a = _forward(logits)[0]
    else:
        a, _ = _DoubleNormalize.apply(logits)  # type: ignore[no-untyped-call]
    return drop(a, seed, threshold)


# With p the softmax over tokens and r its sum over slots, the result is a = p / r. Since p = a * r,
# the backward pass needs only a and r (one number per token and head), no exponentials. By itself,
# autograd would store or recompute them (`benchmarks/operations.py`). For a second derivative, the
# same formulas are differentiated with r as a second result.


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


def _backward(of_a: Tensor | None, of_r: Tensor | None, a: Tensor, r: Tensor) -> Tensor | None:
    """Return the gradient of the logits, given those of a and r; None stands for zeros."""
    a = _wide(a)
    gradient = None
    if of_a is not None:
        g = _wide(of_a)
        s = a * (g - (a * g).sum(dim=-1, keepdim=True))  # through the softmax over slots
        gradient = s - a * (r * s.sum(dim=1, keepdim=True))  # and through that over tokens
    if of_r is not None:
        p = a * r
        of_p = p * (of_r - (p * of_r).sum(dim=1, keepdim=True))
        gradient = of_p if gradient is None else gradient + of_p
    return gradient


class _DoubleNormalize(torch.autograd.Function):
    """For devices on which the compiler generates good code from the formulas."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> tuple[Tensor, Tensor]:
        a, r = _forward(logits)
        ctx.save_for_backward(a, r)
        ctx.set_materialize_grads(False)
        return a, r

    @staticmethod
    def backward(ctx: Any, of_a: Tensor | None, of_r: Tensor | None) -> Tensor | None:
        a, r = ctx.saved_tensors
        gradient = _backward(of_a, of_r, a, r)
        return None if gradient is None else gradient.to(a.dtype)


# On a CPU, one custom operator that the compiler does not trace; it calls the kernel if available.
# The first result is the output, the others are kept for the backward pass.


def compute(logits: Tensor, seed: Tensor, threshold: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the map after dropout, the map before it (empty if nothing is dropped) and r."""
    logits = logits.contiguous()
    kernel = kernels.library(logits.dtype)
    if kernel is None:
        a, r = _forward(logits)
        return (drop(a, seed, threshold), a, r) if threshold else (a, logits.new_empty(0), r)
    a, r = torch.empty_like(logits), logits.new_empty((*logits.shape[:3], 1), dtype=torch.float32)
    dropped = torch.empty_like(logits) if threshold else logits.new_empty(0)
    pointers = (t.data_ptr() for t in (logits, a, dropped, r))
    is_bfloat16 = logits.dtype == torch.bfloat16
    kernel.normalize_forward(is_bfloat16, *pointers, *_arguments(logits, seed, threshold))
    return (dropped, a, r) if threshold else (a, dropped, r)


_normalize_and_drop = torch.library.custom_op(
    "eanet::normalize_and_drop", compute, mutates_args=(), device_types="cpu"
)


@_normalize_and_drop.register_fake
def _(logits: Tensor, seed: Tensor, threshold: int) -> tuple[Tensor, Tensor, Tensor]:
    like = torch.empty_like(logits, memory_format=torch.contiguous_format)
    wide = torch.promote_types(logits.dtype, torch.float32)
    r = logits.new_empty((*logits.shape[:3], 1), dtype=wide)
    return like, torch.empty_like(like) if threshold else logits.new_empty(0), r


def compute_backward(
    upstream: Tensor, a: Tensor, r: Tensor, seed: Tensor, threshold: int
) -> Tensor:
    """Return the gradient of the logits, given that of the map after dropout."""
    kernel = kernels.library(a.dtype)
    if kernel is None:
        gradient = cast(Tensor, _backward(drop(_wide(upstream), seed, threshold), None, a, r))
        return gradient.to(a.dtype).contiguous()
    upstream, a, r = upstream.contiguous(), a.contiguous(), r.contiguous()
    gradient = torch.empty_like(a)
    pointers = (t.data_ptr() for t in (upstream, a, r, gradient))
    is_bfloat16 = a.dtype == torch.bfloat16
    kernel.normalize_backward(is_bfloat16, *pointers, None, *_arguments(a, seed, threshold))
    return gradient


_normalize_and_drop_backward = torch.library.custom_op(
    "eanet::normalize_and_drop_backward", compute_backward, mutates_args=(), device_types="cpu"
)


@_normalize_and_drop_backward.register_fake
def _(upstream: Tensor, a: Tensor, r: Tensor, seed: Tensor, threshold: int) -> Tensor:
    return torch.empty_like(a, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, ...]) -> None:
    _, seed, ctx.threshold = inputs
    first, whole, r = output
    ctx.save_for_backward(whole if ctx.threshold else first, r, seed)
    ctx.set_materialize_grads(False)


def _differentiate(
    ctx: Any, of_dropped: Tensor | None, of_whole: Tensor | None, of_r: Tensor | None
) -> tuple[Tensor | None, None, None]:
    a, r, seed = ctx.saved_tensors
    threshold: int = ctx.threshold
    is_only = of_dropped is not None and of_whole is None and of_r is None
    if is_only and not torch.is_grad_enabled():
        gradient = _normalize_and_drop_backward(of_dropped, a, r, seed, threshold)
        return gradient, None, None
    # In a second derivative, or of one.
    of_a = None if of_dropped is None else drop(_wide(of_dropped), seed, threshold)
    if threshold and of_whole is not None:
        of_a = of_whole if of_a is None else of_a + of_whole
    gradient = _backward(of_a, of_r, a, r)
    return None if gradient is None else gradient.to(a.dtype), None, None


_normalize_and_drop.register_autograd(_differentiate, setup_context=_keep)
for _operator in (_normalize_and_drop, _normalize_and_drop_backward):
    register_vmap(_operator)


def _arguments(x: Tensor, seed: Tensor, threshold: int) -> tuple[int, ...]:
    return *x.shape, int(seed), threshold, torch.get_num_threads()


def drop(x: Tensor, seed: Tensor, threshold: int) -> Tensor:
    """Drop entries of ``(B, N, h, S)`` by the seed, and scale the others."""
    if not threshold:
        return x
    return (scaled_mask(x, x.shape[2:].numel(), seed, threshold) * x).to(x.dtype)
