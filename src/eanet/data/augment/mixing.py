"""Mixup and CutMix: mix pairs of images and their labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment.draws import Draws
from eanet.data.augment.rectangles import rectangle


def cut_probability(settings: AugmentSettings) -> float:
    """Return the probability of CutMix rather than mixup: 1/2 if both are on."""
    return bool(settings.cutmix) / (bool(settings.cutmix) + bool(settings.mixup))


def draw_share(cut: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Draw the share of the image itself in each mixture, ``(B,)``: Beta(alpha, alpha)."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    alpha = np.where(cut < cut_probability(settings), settings.cutmix, settings.mixup)
    # PyTorch's Beta takes no generator.
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha)).to(cut.dtype)


def mix(pixels: Tensor, draws: Draws, settings: AugmentSettings) -> tuple[Tensor, Tensor]:
    """Mix each image with the one before it in the batch, whose order is already random.

    Mixup (Zhang et al., 2017, arXiv 1710.09412) blends the two; CutMix (Yun et al., 2019, arXiv
    1905.04899) pastes a rectangle of the other.

    Args:
        pixels: augmented, float, (B, C, H, W).
        draws: the draws of the images.
        settings: with ``mixup`` or ``cutmix`` above 0.

    Returns:
        The mixtures and the share of the image itself in each, (B,).
    """
    side = (1 - draws.share).sqrt()
    pasted = rectangle(pixels, draws.cut_y, draws.cut_x, side, side)  # clipped at the edges
    cut = (draws.cut < cut_probability(settings)).view(-1, 1, 1, 1)
    share = torch.where(cut, 1.0 - pasted.float(), draws.share.view(-1, 1, 1, 1))  # (B, 1, H, W)
    return torch.lerp(partners(pixels), pixels, share), share.mean((1, 2, 3))


def mix_labels(labels: Tensor, share: Tensor, classes: int) -> Tensor:
    """Return class probabilities ``(B, K)`` of mixtures from labels and shares ``(B,)``."""
    own = torch.nn.functional.one_hot(labels, classes).to(share.dtype)
    return torch.lerp(partners(own), own, share.view(-1, 1))


def partners(batch: Tensor) -> Tensor:
    """Return the partner that each item of a batch is mixed with."""
    return batch.roll(1, 0)
