"""A call for a process of its own; apart, so that little has to be imported there."""

from __future__ import annotations

import torch

from eanet.memory import peak_memory, reset_peak_memory

CPU = torch.device("cpu")


def hold_again_and_again(size: int) -> tuple[int, int]:
    """The peak before and after holding so many bytes, four times."""
    before = reset_peak_memory(CPU)
    for _ in range(4):
        torch.ones(size, dtype=torch.uint8)
    return before, peak_memory(CPU)
