"""The progress of a training between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from pydantic import ConfigDict, TypeAdapter
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
        extended: number of finished epochs when more were asked for.
        finished: whether there is nothing left to train; None: not known, after `extend` and in
            checkpoints of earlier versions.
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True, extra="forbid")  # for `parse`

    epoch: int = 0
    step: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.float64))
    seconds: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    history: list[dict[str, int | float]] = field(default_factory=list)
    spent: float = 0.0
    prepared: float | None = None
    validating: float | None = None
    extended: int = 0
    finished: bool | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read the attributes of a saved state.

        Raises:
            ValueError: there are others, or some have other types.
        """
        state = TypeAdapter(cls).validate_python(values)
        if state.sums.shape != (4,) or not state.sums.is_floating_point():
            raise ValueError("other sums")
        if min(state.epoch, state.step, state.best_epoch) < 0:
            raise ValueError("negative counts")
        return state
