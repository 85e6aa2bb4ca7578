"""Dropout whose random bits are cheap on a CPU.

PyTorch draws one float an element, on one thread: three quarters of a training step of
``keras_eanet``. Eight or sixteen bits an element, several from one 64-bit word, are enough.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOLERANCE = 1e-3  # largest difference of the probability asked for and the one that bits give


# An operator of its own, so that the compiler neither looks into it nor repeats it in the backward
# pass. It is a pure function of its seed.
@torch.library.custom_op(
    "eanet::random_bits", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def random_bits(seed: Tensor, count: int, bits: int) -> Tensor:
    """``count`` uniform integers of 8 (uint8) or 16 bits (uint16), from a seed of shape ()."""
    words = -(-count * bits // 64)
    raw = np.random.PCG64DXSM(int(seed)).random_raw(words)
    return torch.from_numpy(raw.view(np.uint8 if bits == 8 else np.uint16)[:count])


@random_bits.register_fake
def _(seed: Tensor, count: int, bits: int) -> Tensor:
    return seed.new_empty(count, dtype=torch.uint8 if bits == 8 else torch.uint16)


class Dropout(nn.Module):
    """`torch.nn.Dropout` (Srivastava et al., 2014), with bits drawn in bulk on CPUs.

    The bits follow PyTorch's default generator, as those of `torch.nn.Dropout` do. The probability
    is a multiple of 1/256 or 1/65536, within 0.001 of ``p``, and the scale is exact for it.

    Args:
        p: probability of dropping an entry.

    Raises:
        ValueError: ``p`` is not at least 0 and below 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"a dropout probability is at least 0 and below 1, not {p}")
        self.p = p
        self.bits = 8 if abs(round(p * 256) / 256 - p) < TOLERANCE else 16
        self.threshold = round(p * 2**self.bits)

    def forward(self, x: Tensor) -> Tensor:
        """Entries of ``x``, of any shape, dropped or scaled; as they are outside training."""
        if not (self.training and self.p):
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        seed = torch.randint(2**62, ())
        drawn = random_bits(seed, x.numel(), self.bits).view(x.shape)
        kept = 1 - self.threshold / 2**self.bits
        # uint16 has no comparison of its own on a CPU.
        return torch.where(drawn.to(torch.int32) >= self.threshold, x / kept, 0)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of the layer."""
        return f"p={self.p}"
