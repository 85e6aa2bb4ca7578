"""Batch normalisation of tokens."""

from __future__ import annotations

from torch import Tensor, nn


class TokenBatchNorm(nn.BatchNorm1d):
    """Each channel normalised over all tokens of all images of a batch; as learned, in evaluation.

    Ioffe and Szegedy, 2015, arXiv 1502.03167. Behind a convolution it is worth more than LayerNorm:
    docs/results.md. Processes that train together have statistics each of its own.

    Args:
        dim: width of the tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(B, N, dim)`` to tokens ``(B, N, dim)``."""
        return super().forward(x.flatten(0, 1)).view_as(x)  # (B * N, dim), and back
