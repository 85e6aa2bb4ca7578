"""Dropout whose random bits are cheap on a CPU.

PyTorch draws one float an element, on one thread, which is most of a training step of
``keras_eanet``. Eight bits an element, eight draws from one 64-bit word, are enough
(``benchmarks/operations.py`` compares).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 256  # values of a byte


# An operator of its own, so that the compiler neither looks into it nor repeats it in the backward
# pass. It is a pure function of its seed.
@torch.library.custom_op(
    "eanet::random_bytes", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def random_bytes(seed: Tensor, count: int) -> Tensor:
    """``count`` uniform bytes from a seed of shape ()."""
    words = np.random.PCG64DXSM(int(seed)).random_raw(-(-count // 8))
    return torch.from_numpy(words.view(np.uint8)[:count])


@random_bytes.register_fake
def _(seed: Tensor, count: int) -> Tensor:
    return seed.new_empty(count, dtype=torch.uint8)


class Dropout(nn.Module):
    """`torch.nn.Dropout` (Srivastava et al., 2014), with bytes drawn in bulk on CPUs.

    The bytes follow PyTorch's default generator, as the draws of `torch.nn.Dropout` do.

    Args:
        p: probability of dropping an entry; on a CPU the nearest multiple of 1/256 above 0, with
            the scale exact for that, so that the mean is kept.

    Raises:
        ValueError: ``p`` is not at least 0 and below 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"a dropout probability is at least 0 and below 1, not {p}")
        self.p = p
        self.threshold = min(max(round(p * LEVELS), 1), LEVELS - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Entries of ``x``, of any shape, dropped or scaled; as they are outside training."""
        if not (self.training and self.p):
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        seed = torch.randint(2**62, ())
        drawn = random_bytes(seed, x.numel()).view(x.shape)
        kept = 1 - self.threshold / LEVELS
        # As floats: compilers make slow code of comparing bytes, or integers made of them.
        return torch.where(drawn.float() >= self.threshold, x / kept, 0)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of the layer."""
        return f"p={self.p}"
