"""Which regions of an image a class depends on: how far hiding each of them lowers its probability.

Occlusion: Zeiler and Fergus, 2013, "Visualizing and Understanding Convolutional Networks",
arXiv 1311.2901, section 4.2. The check that hiding the named regions costs more than hiding as many
at random follows Samek et al., 2015, "Evaluating the visualization of what a Deep Neural Network
has learned", arXiv 1509.06321. `benchmarks/faithfulness.py` compares occlusion with other methods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eanet.deploy.module import RuntimeModule
from eanet.models import Classifier
from eanet.models.tokenizer import patch_size_for

SHARE = 0.1  # of the squares that count as the strongest
DRAWS = 16  # random choices of as many squares
BATCH_SIZE = 64


@dataclass(frozen=True, eq=False)
class Regions:
    """How hiding squares of an image lowers the probability of a class.

    Attributes:
        side: of a square, in pixels.
        losses: (g, g), how far the probability falls when a square is hidden; negative if it rises.
        strongest: (g, g), the tenth of the squares with the largest losses, if positive.
        without_strongest: probability when these are hidden together.
        without_random: mean probability when as many random squares are hidden.
    """

    side: int
    losses: NDArray[np.float32]
    strongest: NDArray[np.bool_]
    without_strongest: float
    without_random: float


def rate_regions(model: Classifier | RuntimeModule, pixels: Tensor, label: int) -> Regions:
    """Measure how far hiding each square, of at most 14 x 14, lowers a class's probability.

    Args:
        model: in evaluation mode.
        pixels: ``(C, H, H)``, raw, on the model's device.
        label: index of the class in question.
    """
    side = patch_size_for(pixels.shape[-1])
    grid = -(-pixels.shape[-1] // side)
    count = grid**2
    none, each = (torch.zeros(n, count, dtype=torch.bool, device="cpu") for n in (1, count))
    probability = _probabilities(model, pixels, label, none)
    losses = probability - _probabilities(model, pixels, label, each.fill_diagonal_(True))
    order = losses.argsort(descending=True)[: max(1, round(SHARE * count))]
    order = order[losses[order] > 0]
    generator = torch.Generator("cpu").manual_seed(0)
    lots = torch.rand(DRAWS, count, generator=generator, device="cpu").argsort(dim=1)
    tried = none.repeat(1 + DRAWS, 1)
    tried[0, order] = True
    tried[1:].scatter_(1, lots[:, : len(order)], True)
    remaining = _probabilities(model, pixels, label, tried)
    return Regions(
        side,
        losses.view(grid, grid).numpy(),
        tried[0].view(grid, grid).numpy(),
        remaining[0].item(),
        remaining[1:].mean().item(),
    )


@torch.inference_mode()
def _probabilities(
    model: Classifier | RuntimeModule, pixels: Tensor, label: int, squares: Tensor
) -> Tensor:
    """Return a class's probability ``(M,)`` with each choice of squares ``(M, g*g)`` hidden."""
    probabilities = []
    for masks in squares.to(pixels.device).split(BATCH_SIZE):
        images = hide(pixels, masks, model.normalization.mean.view(-1, 1, 1))
        probabilities.append(model(images).float().softmax(dim=1)[:, label].cpu())
    return torch.cat(probabilities)


def hide(pixels: Tensor, squares: Tensor, cover: Tensor) -> Tensor:
    """Cover squares of an image.

    Args:
        pixels: ``(C, H, H)``.
        squares: ``(M, g*g)``, row by row, true where to cover; each `patch_size_for` pixels wide.
        cover: a colour ``(C, 1, 1)`` or another image ``(C, H, H)``.

    Returns:
        ``(M, C, H, H)``.
    """
    size = pixels.shape[-1]
    side = patch_size_for(size)
    grid = -(-size // side)
    mask = squares.unflatten(1, (grid, grid))  # (M, g, g)
    mask = mask.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2)  # (M, g*side, g*side)
    mask = mask[:, None, :size, :size]  # (M, 1, H, H)
    return torch.where(mask, cover, pixels.float())
