"""The activation of every model."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


class GELU(nn.Module):
    """The tanh approximation of GELU (Hendrycks and Gimpel, 2016, arXiv 1606.08415)."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``x * Phi(x)`` elementwise, for any shape."""
        traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if not (traced or torch.compiler.is_compiling()):
            return F.gelu(x, approximate="tanh")
        # The same function, since 1 + tanh(z) = 2 sigmoid(2 z). On a CPU the compiler's tanh is
        # slower than its sigmoid (benchmarks/operations.py), and OpenVINO, which gets a trace,
        # makes a depthwise convolution that computes GELU as well six times as slow as one alone.
        z2 = x * (2 * SQRT_2_OVER_PI) * (1 + 0.044715 * x * x)
        return x * torch.sigmoid(z2)
