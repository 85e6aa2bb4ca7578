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
