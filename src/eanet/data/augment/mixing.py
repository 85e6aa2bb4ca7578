"""Mixup and CutMix: images made of two, whose labels share the loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment.draws import Draws
from eanet.data.augment.rectangles import rectangle


def cut_probability(settings: AugmentSettings) -> float:
    """How often an image is mixed by CutMix instead of mixup: half of the time if both are on."""
    return bool(settings.cutmix) / (bool(settings.cutmix) + bool(settings.mixup))


def draw_share(cut: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """The share of the image itself in each mixture, ``(B,)``: Beta(alpha, alpha)."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    alpha = np.where(cut < cut_probability(settings), settings.cutmix, settings.mixup)
    # PyTorch's Beta takes no generator.
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha)).to(cut.dtype)


def mix(pixels: Tensor, draws: Draws, settings: AugmentSettings) -> tuple[Tensor, Tensor]:
    """Mix every image with the one before it in the batch, whose order is random already.

    Mixup (Zhang et al., 2017, arXiv 1710.09412) blends the two; CutMix (Yun et al., 2019, arXiv
    1905.04899) pastes a rectangle of the other one.

    Args:
        pixels: augmented, float, (B, C, H, W).
        draws: of the images.
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
    """The probabilities ``(B, K)`` of the classes of mixtures; arguments ``(B,)``."""
    own = torch.nn.functional.one_hot(labels, classes).to(share.dtype)
    return torch.lerp(partners(own), own, share.view(-1, 1))


def partners(batch: Tensor) -> Tensor:
    """What each is mixed with, in its place."""
    return batch.roll(1, 0)
