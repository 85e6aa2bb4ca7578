"""Random bytes in bulk, and the dropout masks made of them.

PyTorch draws one float per entry on one thread, which takes most of a training step of
``keras_eanet``. Eight bits per entry are enough, so one 64-bit word gives eight draws (compared in
``benchmarks/operations.py``). With a compiler and without, the bytes are the same.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eanet.ops import kernels
from eanet.ops.dispatch import register_vmap

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
    words = torch.empty(-(-count // 8), dtype=torch.int64, device="cpu")
    kernel = kernels.library()
    if kernel is None:
        words.numpy()[:] = _random_words(int(seed), len(words)).view(np.int64)
    else:
        kernel.random_words(int(seed), len(words), words.data_ptr(), torch.get_num_threads())
    drawn: Tensor = words.view(torch.uint8)[:count]
    return drawn


@random_bytes.register_fake
def _(seed: Tensor, count: int) -> Tensor:
    return seed.new_empty(count, dtype=torch.uint8)


register_vmap(random_bytes)


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
    padded = -(-width // 8) * 8
    rows = like.numel() // max(width, 1)
    drawn: Tensor = random_bytes(seed, rows * padded).view(rows, padded)[:, :width]
    wide = torch.promote_types(like.dtype, torch.float32)  # bfloat16 would round the scale
    mask = (drawn >= threshold).to(like.device, wide) / (1 - threshold / LEVELS)
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
