"""The progress of a training between two steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class State:
    """What a run resumes from, besides weights and optimiser; saved and restored unchanged.

    Attributes:
        epoch: number of finished epochs.
        step: steps taken in the current epoch.
        sums: `tally` sums of the current epoch.
        seconds: time that these steps took.
        best_epoch: epoch whose weights are kept, counted from 1.
        best_accuracy: its validation accuracy.
        best_loss: its validation loss.
        history: one row per epoch.
        spent: seconds used so far; only in runs limited by minutes.
        prepared: ``spent`` after the very first step, which includes compiling.
        validating: seconds that the last validation took; only in runs limited by minutes.
        finished: whether there is nothing left to train; None in checkpoints of earlier versions.
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
    finished: bool | None = None
