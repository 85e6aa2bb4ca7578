"""Dropout whose random bits are cheap on a CPU.

PyTorch draws one float per element on one thread, which takes most of a training step of
``keras_eanet``. Eight bits per element are enough, so one 64-bit word gives eight draws
(compared in ``benchmarks/operations.py``).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from eanet.ops import kernels
from eanet.ops.dispatch import needs_formulas

LEVELS = 256  # values of a byte
GOLDEN = 0x9E3779B97F4A7C15  # step of the kernels' counter
PIECE = 2**15


# A custom operator, so that the compiler neither traces it nor recomputes it in the backward pass.
# It is a pure function of its seed.
@torch.library.custom_op(
    "eanet::random_bytes", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def random_bytes(seed: Tensor, count: int) -> Tensor:
    """Draw ``count`` uniform bytes from a seed of shape ()."""
    words = torch.empty(-(-count // 8), dtype=torch.int64)
    kernel = kernels.library()
    if kernel is None:
        words.numpy()[:] = _random_words(int(seed), len(words)).view(np.int64)
    else:
        out = kernels.pointer(words)
        kernel.random_words(int(seed), len(words), out, torch.get_num_threads())
    drawn: Tensor = words.view(torch.uint8)[:count]
    return drawn


def advance(seed: Tensor, rows: int, width: int) -> Tensor:
    """Return the seed that draws for a map what ``seed`` draws for it after other ``rows``.

    So a map may be processed in groups of rows, each ``width`` entries long.
    """
    step = rows * -(-width // 8) * GOLDEN % 2**64
    return seed + (step if step < 2**63 else step - 2**64)  # which wraps around


def scaled_mask(like: Tensor, width: int, seed: Tensor, threshold: int) -> Tensor:
    """Return the kernels' dropout mask: 0 with probability ``threshold / 256``, else the scale.

    Each row of ``width`` entries starts at a new 64-bit word.
    """
    rows, padded = like.numel() // width, -(-width // 8) * 8
    drawn = random_bytes(seed, rows * padded).view(rows, padded)[:, :width]
    wide = torch.promote_types(like.dtype, torch.float32)  # bfloat16 would round the scale
    mask: Tensor = (drawn >= threshold).to(wide) / (1 - threshold / LEVELS)
    return mask.view(like.shape)


def _random_words(seed: int, count: int) -> NDArray[np.uint64]:
    """Draw the same words as the kernel (kernels.cpp, random_word), in pieces that fit in cache."""
    words = np.empty(count, np.uint64)
    for begin in range(0, count, PIECE):
        z = np.arange(begin + 1, min(begin + PIECE, count) + 1, dtype=np.uint64)
        z = z * np.uint64(GOLDEN) + np.uint64(seed % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        words[begin : begin + PIECE] = z ^ (z >> np.uint64(31))
    return words


@random_bytes.register_fake
def _(seed: Tensor, count: int) -> Tensor:
    return seed.new_empty(count, dtype=torch.uint8)


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
            return torch.randint(2**62, ()), self.threshold
        return torch.zeros((), dtype=torch.int64), 0

    def forward(self, x: Tensor) -> Tensor:
        """Drop or scale entries of ``x``, of any shape; return it unchanged outside training."""
        if not (self.training and self.p):
            return x
        if x.device.type != "cpu" or needs_formulas(x):
            return F.dropout(x, self.p)
        seed = torch.randint(2**62, ())
        drawn = random_bytes(seed, x.numel()).view(x.shape)
        kept = 1 - self.threshold / LEVELS
        # Compared as floats: compilers generate slow code for bytes and integers.
        return torch.where(drawn.float() >= self.threshold, x / kept, 0)

    def extra_repr(self) -> str:
        """Return the settings that ``print(model)`` shows."""
        return f"p={self.p}"
