"""From raw pixels to tokens: normalisation, patches, positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalization(nn.Module):
    """Normalises raw pixels to zero mean and unit variance: every model's first operation.

    The statistics are saved with the model, so that training, evaluation, prediction and an
    exported file cannot disagree about them.

    Args:
        mean: per channel, in grey levels 0..255.
        std: per channel, in grey levels; 0, of a constant channel, is replaced by 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor([s or 1.0 for s in std], dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """Map raw pixels ``(B, C, H, W)`` to the same shape, in float32 or a wider type.

        Half precision has too few digits for 256 grey levels less their mean.
        """
        widest = torch.promote_types(images.dtype, self.mean.dtype)
        wide = torch.promote_types(widest, torch.float32)
        return (images.to(wide) - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1)


class PatchEmbedding(nn.Module):
    """Cuts square patches, embeds them linearly and adds a learned position.

    Dosovitskiy et al., 2020, "An Image Is Worth 16x16 Words", arXiv 2010.11929, section 3.1. Only
    whole patches are cut, as by a convolution of that stride and by Keras' ``extract_patches``: at
    the right and at the bottom, up to ``patch_size - 1`` pixels are not seen.

    Args:
        image_size: side of the square image, in pixels.
        patch_size: side of a patch, in pixels.
        in_channels: channels of the image.
        dim: width of the tokens.

    Raises:
        ValueError: the image is smaller than a patch.
    """

    def __init__(self, image_size: int, patch_size: int, in_channels: int, dim: int) -> None:
        super().__init__()
        if image_size < patch_size:
            raise ValueError(f"patch_size={patch_size} must be at most image_size={image_size}")
        self.patch_size = patch_size
        self.grid = image_size // patch_size
        self.projection = nn.Linear(patch_size**2 * in_channels, dim)
        self.position = nn.Parameter(torch.empty(self.grid**2, dim))
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        nn.init.uniform_(self.position, -0.05, 0.05)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images ``(B, C, H, W)`` to tokens ``(B, N, d)``, in row-major order."""
        p, g = self.patch_size, self.grid
        images = images[..., : g * p, : g * p]
        patches = images.unflatten(3, (g, p)).unflatten(2, (g, p))  # (B, C, g, p, g, p)
        patches = patches.permute(0, 2, 4, 3, 5, 1)  # (B, g, g, p, p, C)
        tokens: Tensor = self.projection(patches.flatten(3).flatten(1, 2))  # (B, N, p*p*C)
        return tokens + self.position
