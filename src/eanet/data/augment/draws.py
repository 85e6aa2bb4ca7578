"""The random numbers that decide how each image is augmented, by name."""

from __future__ import annotations

from typing import NamedTuple, Self

from torch import Tensor


class Draws(NamedTuple):
    """One number in [0, 1) per image ``(B,)`` and decision; all but ``share`` are uniform.

    Every decision has its column in the table of draws ``(B, D)``, whether or not its setting is
    on, so that switching one setting does not change the draws of the others.
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
    share: Tensor  # of the image itself in the mixture: Beta(alpha, alpha)
    cut_y: Tensor
    cut_x: Tensor

    @classmethod
    def of(cls, table: Tensor) -> Self:
        """Split a table of draws ``(B, D)`` into its columns."""
        return cls(*table.unbind(1))
