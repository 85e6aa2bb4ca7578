"""Dropout whose random bits are cheap on a CPU."""

from __future__ import annotations

from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.ops.dispatch import is_plain, uses_cpu_operator
from eanet.ops.random_bytes import LEVELS, random_bytes


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al., 2014), with bytes drawn in bulk on CPUs.

    The bytes follow PyTorch's default generator, as the draws of `torch.nn.Dropout` do.

    Args:
        p: probability of dropping an entry; on a CPU rounded to the nearest positive multiple of
            1/256, with the scale exact for that, so that the mean is preserved.

    Raises:
        ValueError: ``p`` is not at least 0 and below 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"a dropout probability is at least 0 and below 1, not {p}")
        self.p = p

    @property
    def threshold(self) -> int:
        """Number of the 256 values of a byte for which an entry is dropped."""
        return min(max(round(self.p * LEVELS), 1), LEVELS - 1)

    def draw(self) -> tuple[Tensor, int]:
        """Return a seed of shape () and a threshold in 256ths, for operators with dropout inside.

        If nothing is to be dropped, the threshold is 0 and no seed is drawn.
        """
        if self.training and self.p:
            return torch.randint(2**62, (), device="cpu"), self.threshold
        return torch.zeros((), dtype=torch.int64, device="cpu"), 0

    def forward(self, x: Tensor) -> Tensor:
        """Drop or scale entries of ``x``, of any shape; return it unchanged outside training."""
        if not (self.training and self.p):
            return x
        if not uses_cpu_operator(x):
            return F.dropout(x, self.p)
        seed = torch.randint(2**62, (), device="cpu")
        drawn = random_bytes(seed, x.numel()).view(x.shape)
        kept = 1 - self.threshold / LEVELS
        # Compared as floats: compilers generate slow code for bytes and integers.
        return torch.where(drawn.float() >= self.threshold, x / kept, 0)

    def extra_repr(self) -> str:
        """Return the settings that ``print(model)`` shows."""
        return f"p={self.p}"


def goes_inside(dropout: nn.Module, x: Tensor) -> TypeGuard[Dropout]:
    """Return whether an operator for ``x`` may drop entries itself, by `Dropout.draw`.

    Otherwise the layer is called on the operator's result.
    """
    return is_plain(dropout, Dropout) and uses_cpu_operator(x)
