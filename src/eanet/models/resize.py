"""Change the image size of a trained model: only its positions are resampled."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from eanet.models.classifier import Classifier
from eanet.models.registry import create_model

POSITION = "embedding.position"


def resize_positions(weights: Mapping[str, Tensor], grid: int) -> dict[str, Tensor]:
    """Return a model's state with its learned positions resampled to ``grid x grid`` tokens.

    Bicubic; Dosovitskiy et al., 2020, arXiv 2010.11929, section 3.2.

    Args:
        weights: a `Classifier`'s state; not changed.
        grid: tokens along a side.
    """
    position = weights[POSITION]  # (g*g, d)
    side = math.isqrt(len(position))
    if side == grid:
        return dict(weights)
    maps = position.float().mT.unflatten(1, (side, side)).unsqueeze(0)  # (1, d, g, g)
    maps = F.interpolate(maps, (grid, grid), mode="bicubic", antialias=True)
    return {**weights, POSITION: maps.squeeze(0).flatten(1).mT.to(position.dtype)}


def resize_model(model: Classifier, image_size: int) -> Classifier:
    """Return a copy of a model, on its device, for square images of another size, in pixels.

    The patch size stays the same, so the number of tokens changes with the image size.

    Raises:
        EanetError: the image size is less than 1.
    """
    config = model.config
    settings = {**config.settings, "patch_size": model.embedding.patch_size}
    resized = create_model(
        config.name,
        classes=config.classes,
        image_size=image_size,
        in_channels=config.in_channels,
        **settings,
    )
    resized.to(model.head.weight)  # device and type
    resized.load_state_dict(resize_positions(model.state_dict(), resized.embedding.grid))
    return resized.train(model.training)
