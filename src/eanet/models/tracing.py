"""Whether to call a custom operator, its plain function, or formulas that PyTorch can transform."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def needs_gradient(*inputs: Tensor) -> bool:
    """Return whether autograd records what is computed from these tensors."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)


def is_traced(*inputs: Tensor) -> bool:
    """Return whether autograd, a compiler or a counter follows the computation.

    It then takes an operator. Otherwise its plain function does: the first call of an operator
    imports the compiler, which takes as long as importing the rest of PyTorch and which prediction
    does not need.
    """
    if needs_gradient(*inputs) or torch.compiler.is_compiling():
        return True
    # Neither has a public query: `torch.jit.trace`; fake tensors and counters of operations.
    return torch._C._is_tracing() or bool(torch._C._len_torch_dispatch_stack())


def is_transformed() -> bool:
    """Return whether `torch.func` or forward-mode differentiation transforms the computation.

    Custom operators support neither.
    """
    if torch.compiler.is_compiling():
        return False
    functional = torch._C._functorch.peek_interpreter_stack() is not None  # no public query either
    return functional or forward_ad._current_level >= 0


def is_compiled_on_cpu(x: Tensor) -> bool:
    """Return whether `torch.compile` generates code for a CPU from what is computed with ``x``."""
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return compiled and x.device.type == "cpu"


def autocast_type(x: Tensor) -> torch.dtype:
    """Return the type for matrix products with ``x`` on a CPU: autocast's if that is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
