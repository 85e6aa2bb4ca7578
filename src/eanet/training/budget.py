"""The length of a run: a number of epochs, or minutes by the clock."""

from __future__ import annotations

import time

from lightning_fabric import Fabric

from eanet.config import ResolvedSettings
from eanet.training.state import State

VALIDATION_STEP = 0.5  # of a training step's time; a forward pass is about a third of one


class Budget:
    """Decides when a run is over, and where it is in its learning-rate schedule.

    With minutes, the schedule of the recipe's epochs is stretched over the time from the first step
    to the last (Li et al., 2020, arXiv 1905.04753, on training within a budget). It follows the
    clock, so that a machine that slows down still completes the schedule in time. All decisions
    depend only on what the state saves, so they also hold in a resumed run.

    Args:
        settings: settings of the run.
        steps: steps per epoch.
        validation_steps: steps per validation.
        state: state of the run; `tick` writes the time into it.
        fabric: with several processes, the clock of the first one counts.
        began: when this part of the run began, by `time.monotonic`.
    """

    def __init__(
        self,
        settings: ResolvedSettings,
        steps: int,
        validation_steps: int,
        state: State,
        fabric: Fabric,
        began: float,
    ) -> None:
        self.epochs, self.steps, self.validation_steps = settings.epochs, steps, validation_steps
        self.seconds = None if settings.minutes is None else 60 * settings.minutes
        self.state, self.fabric = state, fabric
        self._origin = began - state.spent

    def tick(self, validating: float | None = None) -> None:
        """Record the time after a step, or after a validation that took ``validating`` seconds."""
        state = self.state
        if self.seconds is not None:
            spent = time.monotonic() - self._origin
            state.spent, validating = self.fabric.broadcast((spent, validating))
            if state.prepared is None:
                state.prepared = state.spent
            if validating is not None:
                state.validating = validating

    @property
    def seconds_left(self) -> float | None:
        """Seconds left of the minutes; ``None`` if the run is limited by epochs."""
        return None if self.seconds is None else max(0.0, self.seconds - self.state.spent)

    @property
    def time_is_up(self) -> bool:
        """Whether the remaining time is needed for the last validation."""
        left = self.seconds_left
        return left is not None and left <= self._last_validation()

    @property
    def is_over(self) -> bool:
        """Whether the run ends here; an epoch under way is validated first."""
        if self.seconds is None:
            return self.state.epoch >= self.epochs
        return self.time_is_up and self.state.epoch > 0 and self.state.step == 0

    @property
    def progress(self) -> float:
        """Position of the next step in the schedule, in epochs of the recipe."""
        state = self.state
        if self.seconds is None:
            return (state.epoch * self.steps + state.step + 1) / self.steps
        if state.prepared is None:
            return 0.0
        whole = self.seconds - self._last_validation() - state.prepared
        return self.epochs * min(1.0, (state.spent - state.prepared) / max(whole, 1e-9))

    def _last_validation(self) -> float:
        """Expected seconds of a validation; before the first, estimated from the training steps."""
        state = self.state
        if state.validating is not None:
            return state.validating
        training = state.spent - (state.prepared or 0.0)  # since the first step
        return VALIDATION_STEP * self.validation_steps * training / max(1, state.step - 1)
