"""Attention that sees each token together with its neighbours."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from eanet.models.attention_maps import Attention, AttentionMaps
from eanet.models.depthwise import DepthwiseConvolution


class LocalQueries(nn.Sequential):
    """A depthwise convolution, at first the identity, then attention: ``(B, N, dim)`` in and out.

    Args:
        convolution: applied to the tokens.
        attention: applied to the convolved tokens.
    """

    def __init__(self, convolution: DepthwiseConvolution, attention: nn.Module) -> None:
        super().__init__(convolution, attention)
        nn.init.dirac_(convolution.weight, groups=convolution.groups)

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return what the attention attends to in tokens ``(B, N, dim)``."""
        convolution, attention = self
        return cast(Attention, attention).attention_maps(convolution(x))
