"""Attention that sees each token together with its neighbours."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from eanet.models.attention_maps import Attention, AttentionMaps
from eanet.models.depthwise import DepthwiseConvolution


class LocalQueries(nn.Sequential):
    """A depthwise convolution, the identity at first, then attention: ``(B, N, dim)`` in and out.

    Args:
        convolution: of the tokens.
        attention: of what comes out.
    """

    def __init__(self, convolution: DepthwiseConvolution, attention: nn.Module) -> None:
        super().__init__(convolution, attention)
        nn.init.dirac_(convolution.weight, groups=convolution.groups)

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """What the attention attends to in tokens ``(B, N, dim)``."""
        convolution, attention = self
        return cast(Attention, attention).attention_maps(convolution(x))
