"""Where a training stands between two steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class State:
    """What a run goes on with, beside weights and optimiser; saved and restored as it is.

    Attributes:
        epoch: finished ones.
        step: steps taken of the epoch under way.
        sums: of the epoch under way, as `tally` gives them.
        seconds: that these steps took.
        best_epoch: the one whose weights are kept, from 1.
        best_accuracy: its validation accuracy.
        best_loss: its validation loss.
        history: one row an epoch.
        spent: seconds of the run's minutes, where it has any.
        prepared: those of them that were over after the very first step, compiled and all.
        validating: seconds that the last validation took, likewise.
    """

    epoch: int = 0
    step: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.float64))
    seconds: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)
    spent: float = 0.0
    prepared: float | None = None
    validating: float | None = None
