"""Pillow's bilinear resizing as matrix products, for any height and width.

ONNX has an antialiased ``Resize`` as well. Against Pillow, that of ONNX Runtime is wrong by up to
14 grey levels, and none can place a square that begins between two pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eanet.models.preprocessing import DEFAULT, Preprocessing

_FIXED_POINT = 2**22  # Pillow rounds weights to as many parts


class Resize(nn.Module):
    """Makes images square as `eanet.data.decode` does.

    Rounded to whole grey levels after each of the two passes, as by Pillow; where a value lies
    halfway between two levels, the result may be the other one.

    Args:
        size: height and width of the result, in pixels.
        preprocessing: how an image becomes a square.
    """

    fill: Tensor

    def __init__(self, size: int, preprocessing: Preprocessing = DEFAULT) -> None:
        super().__init__()
        self.size, self.fit = size, preprocessing.fit
        fill = torch.tensor(preprocessing.fill, dtype=torch.float32).view(3, 1, 1)
        self.register_buffer("fill", fill, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map uint8 ``(B, H, W, 3)`` to float32 ``(B, 3, S, S)``, in whole numbers 0..255."""
        rows, columns = _centres(pixels.shape[1]), _centres(pixels.shape[2])
        height, width = rows[-1] + 0.5, columns[-1] + 0.5
        down, across = self._weights(rows, height, width), self._weights(columns, width, height)
        # One channel at a time: a photograph as floats takes four times its own memory.
        narrow = torch.stack([pixels[..., c].float() @ across.mT for c in range(3)], dim=1)
        square = _rounded(down @ _rounded(narrow))  # (S, H) @ (B, 3, H, S)
        if self.fit == "pad":
            shown = down.sum(dim=1, keepdim=True) * across.sum(dim=1)  # (S, S): 0 or 1
            square = torch.where(shown > 0.5, square, self.fill)
        return square

    def _weights(self, centres: Tensor, side: Tensor, other: Tensor) -> Tensor:
        """Return how much each pixel of the result takes from each of the image, (S, L).

        These are triangles that are as wide as a pixel of the result, at least as one of the image.
        A pixel that shows nothing of the image takes nothing.

        Args:
            centres: of the pixels of the image along a side, (L,).
            side: its length.
            other: length of the other side.
        """
        begin, scale = self._place(side, other)
        middle = (begin + _centres(self.size) * scale).unsqueeze(1)  # (S, 1)
        distance = (centres - middle).abs() / scale.clamp(min=1)  # (S, L)
        weights = (1 - distance).clamp(min=0)
        weights = weights / weights.sum(dim=1, keepdim=True)
        weights = (weights * _FIXED_POINT).round() / _FIXED_POINT
        return torch.where((middle > 0) & (middle < side), weights, 0.0)

    def _place(self, side: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return where along a side the result begins, and how much of it one pixel covers."""
        if self.fit == "crop":
            shown = torch.minimum(side, other)
            return (side - shown) / 2, shown / self.size
        if self.fit == "squash":
            return torch.zeros_like(side), side / self.size
        length = (side * self.size / torch.maximum(side, other)).round().clamp(min=1)  # in pixels
        scale = side / length
        return -((self.size - length) / 2).floor() * scale, scale


def _centres(count: int) -> Tensor:
    return torch.arange(count) + 0.5


def _rounded(levels: Tensor) -> Tensor:
    return (levels + 0.5).floor()
