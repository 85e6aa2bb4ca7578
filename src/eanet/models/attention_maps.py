"""What attention layers hand out of themselves, to be looked at."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class AttentionMaps(NamedTuple):
    """What each unit of an attention layer attends to, and how much of the result it makes.

    A unit is a memory slot of a head; in self-attention, where there are no slots, a head (S = 1).

    Attributes:
        weights: ``(B, h, S, N)``; how much the unit attends to each token.
        shares: ``(B, h, S)``; of what makes the layer's result differ from token to token. Sums to
            1 over an image's units.
    """

    weights: Tensor
    shares: Tensor

    @classmethod
    def of(cls, weights: Tensor, contributions: Tensor) -> AttentionMaps:
        """Shares from contributions of any scale, ``(B, h, S)``, not negative."""
        total = contributions.sum(dim=(1, 2), keepdim=True)
        return cls(weights, contributions / total.clamp_min(1e-30))


class Attention(Protocol):
    """A layer that can be looked into."""

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """What the layer attends to in tokens ``(B, N, dim)``."""
