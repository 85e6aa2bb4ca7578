"""Draws of the augmentation that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eanet.data.augment import Draws


def neutral_draws(batch: int, **columns: float | Sequence[float]) -> Tensor:
    """A table of draws: those given by name, all others in the middle of their ranges."""
    table = torch.full((batch, len(Draws._fields)), 0.5)
    for name, values in columns.items():
        table[:, Draws._fields.index(name)] = torch.as_tensor(values)
    return table
