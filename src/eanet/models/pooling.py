"""Pooling of tokens to one vector per image."""

from __future__ import annotations

from torch import Tensor, nn


class MeanPooling(nn.Module):
    """The mean over tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, d)`` to ``(B, d)``."""
        return x.mean(dim=1)


class SequencePooling(nn.Module):
    """A learned weighted average over tokens, initially with equal weights.

    Hassani et al., 2021, "Escaping the Big Data Paradigm with Compact Transformers",
    arXiv 2104.05704, section 3 (SeqPool); without its bias, which cancels in the softmax.

    Args:
        dim: width of the tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, d)`` to ``(B, d)``."""
        weights: Tensor = self.score(x).softmax(dim=1)  # (B, N, 1)
        return (weights * x).sum(dim=1)
