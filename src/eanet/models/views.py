"""Views of an image at test time: a model can answer for several and average what it answers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MIRRORED = (2, 10)
SHIFT = 16  # of a side, the part by which an image is shifted


def views_of(images: Tensor, count: int) -> Tensor:
    """Return views of images ``(B, C, H, W)``, one after the other: ``(count * B, C, H, W)``.

    The first are the images themselves. What a shift leaves empty repeats the border.

    Args:
        images: of any type.
        count: one of `eanet.config.VIEWS`.
    """
    shifted = [images, *(_shifts(images) if count > 2 else ())]
    mirrored = [view.flip(3) for view in shifted] if count in MIRRORED else []
    return torch.cat([*shifted, *mirrored])


def _shifts(images: Tensor) -> Iterator[Tensor]:
    for dim in (2, 3):
        size = images.shape[dim]
        places = torch.arange(size, device=images.device)
        for step in (max(1, size // SHIFT), -max(1, size // SHIFT)):
            yield images.index_select(dim, (places + step).clamp(0, size - 1))
