"""Attention maps, for inspecting attention layers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class AttentionMaps(NamedTuple):
    """What each unit of an attention layer attends to, and how much it contributes.

    A unit is a memory slot of a head, or in self-attention, which has no slots, a head (S = 1).

    Attributes:
        weights: ``(B, h, S, N)``; how much the unit attends to each token.
        shares: ``(B, h, S)``; the unit's share of the differences between tokens in the layer's
            result. The shares of an image sum to 1.
    """

    weights: Tensor
    shares: Tensor

    @classmethod
    def of(cls, weights: Tensor, contributions: Tensor) -> AttentionMaps:
        """Normalise non-negative contributions ``(B, h, S)`` to shares."""
        total = contributions.sum(dim=(1, 2), keepdim=True)
        return cls(weights, contributions / total.clamp_min(1e-30))


class Attention(Protocol):
    """A layer whose attention can be inspected."""

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return what the layer attends to in tokens ``(B, N, dim)``."""
