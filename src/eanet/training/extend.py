"""Train a run for more epochs, or fewer, than it was begun with."""

from __future__ import annotations

from eanet.console import notice
from eanet.errors import EanetError
from eanet.training.optimizer import learning_rate
from eanet.training.run_config import RunConfig
from eanet.training.run_directory import CHECKPOINT, RunDirectory


def extend(run: RunDirectory, epochs: int) -> RunConfig:
    """Set the number of epochs of a run, whether it has finished or not; say how it goes on.

    From here on, the learning rate is that of a run of ``epochs`` epochs at the same epoch.
    Patience begins to count anew.

    Args:
        run: the run, locked.
        epochs: in all, those done included.

    Raises:
        EanetError: it is limited by minutes, has as many epochs already, or has lost its state.
    """
    config, state = run.read_config(), run.read_checkpoint()
    again = f"begin a new run with --init {run.path}"
    if config.resolved.minutes is not None:
        raise EanetError(f"{run.path} is limited by minutes, not epochs: to train on, {again}")
    if state is None and run.read_history():
        raise lost_state(run)
    done = 0 if state is None else int(state["progress"]["epoch"])
    if epochs <= done:
        raise EanetError(f"{run.path} has trained for {done} epochs already; --epochs takes more")
    resolved = config.resolved.model_copy(update={"epochs": epochs})
    if epochs != config.resolved.epochs:
        settings = config.settings.model_copy(update={"epochs": epochs})
        config = config.model_copy(update={"settings": settings, "resolved": resolved})
        run.write_config(config)
    if state is not None:
        # After the settings, so that a run which is killed in between is still a finished one.
        state["progress"] |= {"finished": None, "extended": done}
        run.write_checkpoint(state)
    notice(
        f"epochs {done + 1} to {epochs}: the learning rate goes on as in a run of {epochs} epochs, "
        f"from {learning_rate(resolved, done):.2g}; the best epoch so far stays the best until one "
        "validates better"
    )
    return config


def lost_state(run: RunDirectory) -> EanetError:
    """Make the error for a run that was trained and has no training state any more."""
    return EanetError(
        f"{run.path} has no {CHECKPOINT} to go on from: begin a new run with --init {run.path}"
    )
