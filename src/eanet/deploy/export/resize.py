"""Pillow's bilinear resizing as matrix products, for any height and width.

Pillow adds whole numbers: a weight is so many parts of 2^22. Here they are split in two, so that
products and sums are whole numbers that float32 holds exactly, and the result is the same to the
last grey level. Near enough would not do: one level in some pixels of a small image that was
enlarged changes a probability by up to 0.05.

ONNX has an antialiased ``Resize`` as well. Against Pillow, that of ONNX Runtime is wrong by up to
14 grey levels, and none can place a square that begins between two pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eanet.model_files.preprocessing import DEFAULT, Preprocessing

_HALF = 2**11  # of the 22 bits of a weight


class Resize(nn.Module):
    """Makes images square as `eanet.data.decode` does, rounding after each of the two passes.

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
        down, in_height = self._weights(rows, height, width)
        across, in_width = self._weights(columns, width, height)
        # One channel at a time: a photograph as floats takes four times its own memory.
        narrow = [_rounded(pixels[..., c].float() @ across.mT, dim=2) for c in range(3)]
        square = _rounded(down @ torch.stack(narrow, dim=1), dim=2)  # (2 S, H) @ (B, 3, H, S)
        if self.fit == "pad":
            square = torch.where(in_height & in_width.mT, square, self.fill)
        return square

    def _weights(self, centres: Tensor, side: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much each pixel of the result takes from each of the image.

        These are triangles that are as wide as a pixel of the result, at least as one of the image.

        Args:
            centres: of the pixels of the image along a side, (L,).
            side: its length.
            other: length of the other side.

        Returns:
            The upper halves of all weights, then the lower ones, (2 S, L); and whether a pixel of
            the result shows the image, (S, 1).
        """
        begin, scale = self._place(side, other)
        middle = (begin + _centres(self.size) * scale).unsqueeze(1)  # (S, 1)
        distance = (centres - middle).abs() / scale.clamp(min=1)  # (S, L)
        triangles = (1 - distance).clamp(min=0)
        shares = triangles / triangles.sum(dim=1, keepdim=True)
        is_shown = (middle > 0) & (middle < side)
        weights = torch.where(is_shown, (shares * _HALF**2 + 0.5).floor(), 0.0)
        upper = (weights / _HALF).floor()
        return torch.cat([upper, weights - upper * _HALF]).float(), is_shown

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
    return torch.arange(count, dtype=torch.float64) + 0.5


def _rounded(sums: Tensor, dim: int) -> Tensor:
    """Return whole grey levels from sums with the halves of the weights, one after the other."""
    upper, lower = sums.chunk(2, dim)
    return ((upper + (lower / _HALF).floor() + _HALF // 2) / _HALF).floor()
