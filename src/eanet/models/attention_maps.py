"""Attention maps, for inspecting attention layers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class AttentionMaps(NamedTuple):
    """What each unit of an attention layer attends to, and how much it contributes.

    A unit is a memory slot of a head, or in self-attention, which has no slots, a head (S = 1).

    Attributes:
        weights: ``(B, h, S, N)``; how much the unit attends to each token.
        shares: ``(B, h, S)``; the unit's share of the differences between tokens in the layer's
            result. The shares of an image sum to 1, or are all 0 if its tokens do not differ.
    """

    weights: Tensor
    shares: Tensor

    @classmethod
    def of(cls, weights: Tensor, contributions: Tensor) -> AttentionMaps:
        """Normalise non-negative contributions ``(B, h, S)`` to shares."""
        # In float16 the total may overflow, and the least divisor is 0.
        wide = contributions.to(torch.promote_types(contributions.dtype, torch.float32))
        total = wide.sum(dim=(1, 2), keepdim=True)
        return cls(weights, (wide / total.clamp_min(1e-30)).to(contributions.dtype))


class Attention(Protocol):
    """A layer whose attention can be inspected."""

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return what the layer attends to in tokens ``(B, N, dim)``."""
