"""Whether a custom operator has to be called, or its plain function will do."""

from __future__ import annotations

import torch
from torch import Tensor


def needs_gradient(*inputs: Tensor) -> bool:
    """Return whether autograd records what is computed from these tensors."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)


def is_traced(*inputs: Tensor) -> bool:
    """Return whether autograd or the compiler follows the computation, which takes an operator.

    Otherwise its plain function does: the first call of an operator imports the compiler, which
    takes as long as importing the rest of PyTorch and which prediction does not need.
    """
    return needs_gradient(*inputs) or torch.compiler.is_compiling()


def is_compiled_on_cpu(x: Tensor) -> bool:
    """Return whether `torch.compile` generates code for a CPU from what is computed with ``x``."""
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return compiled and x.device.type == "cpu"


def autocast_type(x: Tensor) -> torch.dtype:
    """Return the type for matrix products with ``x`` on a CPU: autocast's if that is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
