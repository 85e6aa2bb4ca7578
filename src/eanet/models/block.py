"""The transformer block: attention, then an MLP, each behind a norm and beside a residual."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.models.dropout import Dropout

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


class GELU(nn.Module):
    """The tanh form of GELU (Hendrycks and Gimpel, 2016, arXiv 1606.08415): any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """``x * Phi(x)``, entry by entry."""
        if not torch.compiler.is_compiling():
            return F.gelu(x, approximate="tanh")
        # The same function, since 1 + tanh(z) = 2 sigmoid(2 z). On a CPU the compiler's tanh is
        # slower than its sigmoid (benchmarks/operations.py).
        z2 = x * (2 * SQRT_2_OVER_PI) * (1 + 0.044715 * x * x)
        return x * torch.sigmoid(z2)


class MLP(nn.Sequential):
    """Two linear layers with GELU (tanh form) between and dropout behind each: width in = out."""

    def __init__(self, dim: int, hidden_dim: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Linear(dim, hidden_dim),
            GELU(),
            Dropout(dropout),
            nn.Linear(hidden_dim, dim),
            Dropout(dropout),
        )
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)


class Block(nn.Module):
    """Pre-norm residual block (Xiong et al., 2020, arXiv 2002.04745): ``(B, N, dim)`` in and out.

    Args:
        dim: width of the tokens.
        attention: any module from ``(B, N, dim)`` to ``(B, N, dim)``.
        mlp: likewise.
    """

    def __init__(self, dim: int, attention: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, eps=1e-5)
        self.attention = attention
        self.mlp_norm = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, dim)`` to tokens ``(B, N, dim)``."""
        x = x + self.attention(self.attention_norm(x))
        y: Tensor = self.mlp(self.mlp_norm(x))
        return x + y
