"""A tokenizer of overlapping convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eanet.models.gelu import GELU
from eanet.models.max_pooling import MaxPooling

LARGEST_GRID = 14
NARROWEST = 16  # minimum channels of every convolution but the last


def patch_size_for(image_size: int) -> int:
    """Return the smallest power of 2 as patch size that gives at most 14 x 14 tokens."""
    size = 1
    while image_size > LARGEST_GRID * size:
        size *= 2
    return size


class ConvTokenizer(nn.Module):
    """Overlapping 3 x 3 convolutions, most with pooling to half the size, and a learned position.

    Hassani et al., 2021, "Escaping the Big Data Paradigm with Compact Transformers", arXiv
    2104.05704, section 3.3. Batch normalisation follows each, and GELU each but the last. Weights
    start as Kaiming normal, positions as truncated normal with standard deviation 0.02.

    Args:
        image_size: side of the square image, in pixels.
        patch_size: pixels from one token to the next, a power of 2; ``patch_size_for`` chooses.
        in_channels: channels of the image.
        dim: width of the tokens; earlier convolutions have half the width of the next, at least 16.

    Raises:
        ValueError: ``patch_size`` is not a power of 2.
    """

    def __init__(self, image_size: int, patch_size: int, in_channels: int, dim: int) -> None:
        super().__init__()
        halvings = patch_size.bit_length() - 1
        if patch_size < 1 or patch_size != 2**halvings:
            raise ValueError(f"patch_size={patch_size} must be a power of 2")
        self.patch_size = patch_size
        self.grid = -(-image_size // patch_size)
        count = max(halvings, 2)
        widths = [max(dim >> i, NARROWEST) for i in range(count - 1, 0, -1)] + [dim]
        self.stages = nn.Sequential()
        for i, width in enumerate(widths):
            before = widths[i - 1] if i else in_channels
            pooled, last = i >= count - halvings, i == count - 1
            self.stages.append(_Stage(before, width, pooled=pooled, last=last))
        self.position = nn.Parameter(torch.empty(self.grid**2, dim))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images ``(B, C, H, W)`` to tokens ``(B, N, d)``, in row-major order."""
        # Channels-last, in a form that `torch.func` supports.
        maps = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        tokens: Tensor = self.stages(maps).flatten(2).transpose(1, 2)  # (B, d, g, g) -> (B, N, d)
        return tokens + self.position


class _Stage(nn.Module):
    """Convolution, optional pooling, batch normalisation and, except in the last stage, GELU."""

    def __init__(self, in_dim: int, dim: int, *, pooled: bool, last: bool) -> None:
        super().__init__()
        # No bias: the norm would subtract it again.
        self.convolution = nn.Conv2d(in_dim, dim, kernel_size=3, padding=1, bias=False)
        self.pool = MaxPooling() if pooled else nn.Identity()
        self.norm = nn.BatchNorm2d(dim)
        self.activation = nn.Identity() if last else GELU()
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` in channels-last order to another size in the same order."""
        # Pooling first leaves a quarter of the work for the rest.
        activated: Tensor = self.activation(self.norm(self.pool(self.convolution(x))))
        return activated
