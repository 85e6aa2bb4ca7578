"""LayerScale: learned scales that let residual branches start small.

Touvron et al., 2021, "Going Deeper with Image Transformers", arXiv 2103.17239, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """Scales each channel by a learned factor.

    Args:
        dim: width of the tokens.
        initial: initial value of every factor.
    """

    def __init__(self, dim: int, initial: float) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.full((dim,), initial))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(..., dim)``; the shape stays the same."""
        return x * self.factors
