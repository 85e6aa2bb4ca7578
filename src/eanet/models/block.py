"""The transformer block: attention, then an MLP, each with a pre-norm and a residual."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from eanet.models.attention_maps import Attention, AttentionMaps
from eanet.models.drop_path import DropPath


class Block(nn.Module):
    """Pre-norm residual block (Xiong et al., 2020, arXiv 2002.04745): ``(B, N, dim)`` in and out.

    Args:
        dim: width of the tokens.
        attention: any module from ``(B, N, dim)`` to ``(B, N, dim)``; None for no attention.
        mlp: any such module; required.
        drop_path: probability of dropping a branch for an image, in training.

    Raises:
        ValueError: ``drop_path`` is not at least 0 and below 1.
    """

    def __init__(
        self, dim: int, attention: nn.Module | None, mlp: nn.Module, *, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.attention = attention
        if attention is not None:
            self.attention_norm = nn.LayerNorm(dim, eps=1e-5)
        self.mlp_norm = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``."""
        if self.attention is not None:
            x = x + self.drop_path(self.attention(self.attention_norm(x)))
        result: Tensor = x + self.drop_path(self.mlp(self.mlp_norm(x)))
        return result

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return what the attention attends to in tokens ``(B, N, dim)``.

        Raises:
            ValueError: the block has no attention.
        """
        if self.attention is None:
            raise ValueError("a block without attention has no attention maps")
        return cast(Attention, self.attention).attention_maps(self.attention_norm(x))
