"""The random numbers that decide how each image is changed, by name."""

from __future__ import annotations

from typing import NamedTuple, Self

from torch import Tensor


class Draws(NamedTuple):
    """One number in [0, 1) for each image ``(B,)`` and decision; all but one are uniform.

    Every decision has its column in the table of draws ``(B, D)``, whether its setting is on or
    not, so that switching one setting leaves what the others draw as it was.
    """

    flip: Tensor
    angle: Tensor
    zoom_height: Tensor
    zoom_width: Tensor
    contrast: Tensor
    shift_y: Tensor
    shift_x: Tensor
    crop_area: Tensor
    crop_aspect: Tensor
    crop_y: Tensor
    crop_x: Tensor
    operation: Tensor  # of TrivialAugment
    strength: Tensor
    erase: Tensor
    erase_area: Tensor
    erase_aspect: Tensor
    erase_y: Tensor
    erase_x: Tensor
    cut: Tensor  # CutMix or mixup
    share: Tensor  # of the image itself in the mixture: Beta(alpha, alpha), not uniform
    cut_y: Tensor
    cut_x: Tensor

    @classmethod
    def of(cls, table: Tensor) -> Self:
        """The columns of a table of draws ``(B, D)``."""
        return cls(*table.unbind(1))
