"""How operators are called, differentiated and counted, and how layers choose between them.

An operator of `torch.library` is one node to PyTorch, which can neither look inside nor transform
it. So where something follows the computation that needs to, layers compute with formulas: tensor
operations that PyTorch knows.

What PyTorch has no public query for is asked in this file alone; `tests/ops/test_dispatch.py` says
when an answer changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

ORDINARY = (Tensor, nn.Parameter)  # other types have operations of their own


def needs_gradient(*inputs: Tensor) -> bool:
    """Return whether autograd records what is computed from these tensors."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)


def is_traced(*inputs: Tensor) -> bool:
    """Return whether autograd, the compiler or a mode follows: it takes an operator.

    Otherwise its plain function does: the first call of an operator imports the compiler, which
    takes as long as importing the rest of PyTorch and which prediction does not need.
    """
    return needs_gradient(*inputs) or torch.compiler.is_compiling() or _is_in_dispatch_mode()


def needs_formulas(*inputs: Tensor) -> bool:
    """Return whether anything follows it that operators do not support.

    That is `torch.func`, forward-mode differentiation, `torch.jit.trace` and tensors with
    operations of their own, such as fake and quantised ones.
    """
    if torch.compiler.is_compiling():
        return False
    return (
        _is_transformed()
        or is_jit_traced()
        or any(type(tensor) not in ORDINARY for tensor in inputs)
    )


def is_jit_traced() -> bool:
    """Return whether `torch.jit.trace` records the computation."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def uses_cpu_operator(*inputs: Tensor) -> bool:
    """Return whether to compute with an operator for CPUs rather than with formulas."""
    on_cpu = all(tensor.device.type == "cpu" for tensor in inputs)
    return on_cpu and not torch.compiler.is_exporting() and not needs_formulas(*inputs)


def is_compiled_on_cpu(x: Tensor) -> bool:
    """Return whether `torch.compile` generates code for a CPU from what is computed with ``x``."""
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return compiled and x.device.type == "cpu"


def autocast_type(x: Tensor) -> torch.dtype:
    """Return the type for matrix products with ``x`` on a CPU: autocast's if that is on.

    It leaves double precision as it is.
    """
    casts = torch.is_autocast_enabled("cpu") and x.dtype != torch.float64
    return torch.get_autocast_dtype("cpu") if casts else x.dtype


def is_plain(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a layer's weights may be used instead of calling it.

    They may not if it or its ``forward`` was replaced, as LoRA and offloading do, if it has hooks,
    or if its weights are of a type with operations of its own, as quantisation and sharding make
    them.
    """
    hooks = (
        layer._forward_pre_hooks,
        layer._forward_hooks,
        layer._backward_pre_hooks,
        layer._backward_hooks,
    )
    return (
        type(layer) is kind
        and "forward" not in layer.__dict__
        and not any(hooks)
        and _is_ordinary(getattr(layer, "weight", None))
        and _is_ordinary(getattr(layer, "bias", None))
    )


def _is_ordinary(weight: Tensor | None) -> bool:
    if weight is None or type(weight) in ORDINARY:
        return True
    # Exporting replaces weights by fake ones, which stand for ordinary ones.
    return torch.compiler.is_exporting() and not hasattr(weight, "__tensor_flatten__")


def gradients_by_formula(
    formula: Callable[..., Tensor], inputs: Sequence[Tensor], upstream: Tensor
) -> tuple[Tensor | None, ...]:
    """Return the gradients of a formula as functions that can be differentiated again.

    For the backward pass of an operator that computes the same, if it is itself recorded
    (``create_graph=True``). The formula is computed anew from the inputs that were kept.

    Args:
        formula: takes the inputs.
        inputs: as kept by ``save_for_backward``, so with their history.
        upstream: gradient of the formula's result.
    """
    live = [tensor for tensor in inputs if tensor.requires_grad]
    with torch.enable_grad(), torch.autocast(upstream.device.type, enabled=False):
        result = formula(*inputs)
        of_result = upstream.to(result.dtype)
        found = iter(torch.autograd.grad(result, live, of_result, create_graph=True))
    return tuple(next(found) if tensor.requires_grad else None for tensor in inputs)


def register_vmap(operator: Any) -> None:
    """Let `torch.vmap` call an operator once for each entry, without a warning that it does so."""

    def each(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        def entry(i: int) -> list[Any]:
            pairs = zip(inputs, in_dims, strict=True)
            return [x if dim is None else x.select(dim, i) for x, dim in pairs]

        results = [operator(*entry(i)) for i in range(info.batch_size)]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return stacked, (0,) * len(stacked)

    operator.register_vmap(each)


# The private queries.


def _is_in_dispatch_mode() -> bool:
    """A counter of operations, fake tensors, or another mode that operations pass through."""
    return torch._C._len_torch_dispatch_stack() > 0


def _is_transformed() -> bool:
    """`torch.func` or forward-mode differentiation."""
    return (
        torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
    )
