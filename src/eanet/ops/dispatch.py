"""Whether to call a custom operator, its plain function, or formulas that PyTorch can transform."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def needs_gradient(*inputs: Tensor) -> bool:
    """Return whether autograd records what is computed from these tensors."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)


def is_traced(*inputs: Tensor) -> bool:
    """Return whether autograd or the compiler follows the computation, which takes an operator.

    Otherwise its plain function does: the first call of an operator imports the compiler, which
    takes as long as importing the rest of PyTorch and which prediction does not need.
    """
    return needs_gradient(*inputs) or torch.compiler.is_compiling()


def needs_formulas(*inputs: Tensor) -> bool:
    """Return whether anything else follows it, which takes tensor operations that PyTorch knows.

    That is `torch.func`, forward-mode differentiation, `torch.jit.trace`, counters of operations
    and other dispatch modes, and tensors without memory of their own, such as fake ones.
    """
    if torch.compiler.is_compiling():
        return False
    return (  # none of which has a public query
        torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack() > 0
        or any(type(tensor) not in (Tensor, nn.Parameter) for tensor in inputs)
    )


def is_plain(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a layer's weights may be used instead of calling it.

    They may not if it or its ``forward`` was replaced, as LoRA, quantisation and offloading do, or
    if it has hooks.
    """
    hooks = (
        layer._forward_pre_hooks,
        layer._forward_hooks,
        layer._backward_pre_hooks,
        layer._backward_hooks,
    )
    return type(layer) is kind and "forward" not in layer.__dict__ and not any(hooks)


def is_compiled_on_cpu(x: Tensor) -> bool:
    """Return whether `torch.compile` generates code for a CPU from what is computed with ``x``."""
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return compiled and x.device.type == "cpu"


def autocast_type(x: Tensor) -> torch.dtype:
    """Return the type for matrix products with ``x`` on a CPU: autocast's if that is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
