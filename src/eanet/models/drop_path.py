"""Stochastic depth: residual branches dropped at random in training.

Huang et al., 2016, "Deep Networks with Stochastic Depth", arXiv 1603.09382.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class DropPath(nn.Module):
    """Drops a branch's result for each image independently, and scales the others.

    Args:
        p: probability of dropping it.

    Raises:
        ValueError: ``p`` is not at least 0 and below 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"a drop path probability is at least 0 and below 1, not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Zero or scale each image of ``(B, N, d)``; return it unchanged outside training."""
        if not (self.training and self.p):
            return x
        return x * F.dropout(x.new_ones(len(x), 1, 1), self.p)  # (B, 1, 1)

    def extra_repr(self) -> str:
        """Return the settings that ``print(model)`` shows."""
        return f"p={self.p:.3g}"


def stochastic_depth_rates(last: float, depth: int) -> list[float]:
    """Return each block's probability, rising linearly to ``last`` (section 3, equation 4).

    Unlike there, it is the probability of dropping a branch, not of keeping it.
    """
    return [last * (i + 1) / depth for i in range(depth)]
