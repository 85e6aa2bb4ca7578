"""Pillow's bilinear resizing as matrix products, for any height and width.

ONNX has an antialiased ``Resize`` as well. Against Pillow, that of ONNX Runtime is wrong by up to
14 grey levels, and none can place a square that begins between two pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FIXED_POINT = 2**22  # Pillow rounds weights to as many parts


class Resize(nn.Module):
    """Crops the square in the middle and resizes it as `eanet.data.decode` does.

    Rounded to whole grey levels after each of the two passes, as by Pillow; where a value lies
    halfway between two levels, the result may be the other one.

    Args:
        size: height and width of the result, in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, pixels: Tensor) -> Tensor:
        """Map uint8 ``(B, H, W, 3)`` to float32 ``(B, 3, S, S)``, in whole numbers 0..255."""
        rows, columns = _centres(pixels.shape[1]), _centres(pixels.shape[2])
        height, width = rows[-1] + 0.5, columns[-1] + 0.5
        side = torch.minimum(height, width)
        # One channel at a time: a photograph as floats takes four times its own memory.
        across = self._weights(columns, (width - side) / 2, side).mT  # (W, S)
        narrow = torch.stack([pixels[..., c].float() @ across for c in range(3)], dim=1)
        down = self._weights(rows, (height - side) / 2, side)  # (S, H)
        return _rounded(down @ _rounded(narrow))  # (S, H) @ (B, 3, H, S)

    def _weights(self, centres: Tensor, begin: Tensor, side: Tensor) -> Tensor:
        """Return how much each pixel of the result, (S,), takes from each of the image, (L,).

        Args:
            centres: of the pixels of the image, (L,).
            begin: where the part that is shown begins.
            side: its length.

        Returns:
            Triangles that are as wide as a pixel of the result, at least as one of the image.
        """
        scale = side / self.size
        middle = begin + _centres(self.size) * scale
        distance = (centres - middle.unsqueeze(1)).abs() / scale.clamp(min=1)  # (S, L)
        weights = (1 - distance).clamp(min=0)
        return (weights / weights.sum(dim=1, keepdim=True) * _FIXED_POINT).round() / _FIXED_POINT


def _centres(count: int) -> Tensor:
    return torch.arange(count) + 0.5


def _rounded(levels: Tensor) -> Tensor:
    return (levels + 0.5).floor()
