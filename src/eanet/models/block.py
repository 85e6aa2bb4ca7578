"""The transformer block: attention, then an MLP, each with a pre-norm and a residual."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.models.attention_maps import Attention, AttentionMaps
from eanet.models.drop_path import DropPath
from eanet.models.dropout import Dropout
from eanet.models.layer_scale import LayerScale

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


class GELU(nn.Module):
    """The tanh approximation of GELU (Hendrycks and Gimpel, 2016, arXiv 1606.08415)."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``x * Phi(x)`` elementwise, for any shape."""
        if not torch.compiler.is_compiling():
            return F.gelu(x, approximate="tanh")
        # The same function, since 1 + tanh(z) = 2 sigmoid(2 z). On a CPU the compiler's tanh is
        # slower than its sigmoid (benchmarks/operations.py).
        z2 = x * (2 * SQRT_2_OVER_PI) * (1 + 0.044715 * x * x)
        return x * torch.sigmoid(z2)


class MLP(nn.Sequential):
    """Linear layer, GELU (tanh form), dropout, linear layer, dropout.

    Args:
        dim: width of the tokens, in and out.
        hidden_dim: width between the linear layers.
        dropout: probability of dropping an entry.
        convolution: applied before GELU, ``(B, N, hidden_dim)`` in and out; none by default.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        dropout: float = 0.0,
        convolution: nn.Module | None = None,
    ) -> None:
        super().__init__(
            nn.Linear(dim, hidden_dim),
            *([] if convolution is None else [convolution]),
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
        attention: any module from ``(B, N, dim)`` to ``(B, N, dim)``; None for no attention.
        mlp: any such module; required.
        drop_path: probability of dropping a branch for an image, in training.
        residual_scale: initial value of learned scales per channel of each branch's result; no
            scales unless given.
    """

    def __init__(
        self,
        dim: int,
        attention: nn.Module | None,
        mlp: nn.Module,
        *,
        drop_path: float = 0.0,
        residual_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.attention = attention
        if attention is not None:
            self.attention_norm = nn.LayerNorm(dim, eps=1e-5)
            self.attention_scale = _scale(dim, residual_scale)
        self.mlp_norm = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = mlp
        self.mlp_scale = _scale(dim, residual_scale)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``."""
        if self.attention is not None:
            y = self.attention(self.attention_norm(x))
            x = x + self.drop_path(self.attention_scale(y))
        y = self.mlp(self.mlp_norm(x))
        result: Tensor = x + self.drop_path(self.mlp_scale(y))
        return result

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return what the attention attends to in tokens ``(B, N, dim)``.

        Raises:
            ValueError: the block has no attention.
        """
        if self.attention is None:
            raise ValueError("a block without attention has no attention maps")
        return cast(Attention, self.attention).attention_maps(self.attention_norm(x))


def _scale(dim: int, initial: float | None) -> nn.Module:
    return nn.Identity() if initial is None else LayerScale(dim, initial)
