"""Stochastic depth: whole residual branches left out at random while training.

Huang et al., 2016, "Deep Networks with Stochastic Depth", arXiv 1603.09382.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves a branch's result out for each image by itself, and scales what stays.

    Args:
        p: probability of leaving it out.

    Raises:
        ValueError: ``p`` is not at least 0 and below 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"a drop path probability is at least 0 and below 1, not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, d)``, each image's all 0 or all scaled; as it is outside training."""
        if not (self.training and self.p):
            return x
        return x * F.dropout(x.new_ones(len(x), 1, 1), self.p)  # (B, 1, 1)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of the layer."""
        return f"p={self.p:.3g}"


def rising(highest: float, depth: int) -> list[float]:
    """Probabilities for ``depth`` blocks: linear up to ``highest`` (section 3, equation 4)."""
    return [highest * (i + 1) / depth for i in range(depth)]
