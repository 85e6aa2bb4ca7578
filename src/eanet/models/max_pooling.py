"""Max pooling of feature maps."""

from __future__ import annotations

from torch import Tensor, nn

from eanet.ops.max_pool import max_pool


class MaxPooling(nn.Module):
    """3 x 3 max pooling with stride 2, which halves the sides of maps, rounded up."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to ``(B, C, ceil(H / 2), ceil(W / 2))``."""
        return max_pool(maps)
