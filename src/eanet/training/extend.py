"""Train a run for more epochs, or fewer, than it was begun with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from eanet.console import notice
from eanet.errors import EanetError
from eanet.model_files.find import WEIGHTS_FILE
from eanet.model_files.weights_file import read_metadata
from eanet.models.unknown import FALSE_REJECTIONS
from eanet.training.optimizer import learning_rate
from eanet.training.run_config import RunConfig
from eanet.training.run_directory import FIGURES, RunDirectory, lost_state, other_version
from eanet.training.state import State


def extended(run: RunDirectory, config: RunConfig, epochs: int) -> RunConfig:
    """Return the configuration of a run that is to have another number of epochs.

    Args:
        run: the run.
        config: its configuration.
        epochs: in all, those done included.

    Raises:
        EanetError: it is limited by minutes, has as many epochs already, or has lost its state.
    """
    if config.resolved.minutes is not None:
        again = f"begin a new run with --init {run.path}"
        raise EanetError(f"{run.path} is limited by minutes, not epochs: to train on, {again}")
    if epochs <= (done := _epochs_done(run, run.read_checkpoint())):
        raise EanetError(f"{run.path} has trained for {done} epochs already; --epochs takes more")
    if epochs == config.resolved.epochs:
        return config
    settings, resolved = (
        part.model_copy(update={"epochs": epochs}) for part in (config.settings, config.resolved)
    )
    return config.model_copy(update={"settings": settings, "resolved": resolved})


def extend(run: RunDirectory, config: RunConfig) -> None:
    """Let a run go on to the epochs of its configuration, whether it has finished or not; say how.

    From here on, the learning rate is that of a run of so many epochs at the same epoch. Patience
    begins to count anew.

    Args:
        run: the run, locked.
        config: as `extended` returned it, and written: a run that is killed in between is still a
            finished one.
    """
    state, epochs = run.read_checkpoint(), config.resolved.epochs
    done = _epochs_done(run, state)
    if state is not None:
        state["progress"] |= {"finished": None, "extended": done}
        run.write_checkpoint(state)
    notice(
        f"epochs {done + 1} to {epochs}: the learning rate goes on as in a run of {epochs} epochs, "
        f"from {learning_rate(config.resolved, done):.2g}; the best epoch so far stays the best "
        "until one validates better"
    )
    if changed := _set_since(run, config):
        notice(
            "an epoch that validates better is without what `eanet evaluate` set since: give "
            f"{changed} again in the end"
        )


def _set_since(run: RunDirectory, config: RunConfig) -> str:
    """Return the options by which the model was changed after its training, as far as is known."""
    metadata: dict[str, Any] = {}
    figures: Any = None
    with suppress(EanetError):
        metadata = read_metadata(run.path / WEIGHTS_FILE)
    with suppress(OSError, ValueError, RecursionError):
        figures = json.loads((run.path / FIGURES).read_bytes())
    share = (metadata.get("unknown") or {}).get("false_rejections", FALSE_REJECTIONS)
    changes = {
        "--calibrate": isinstance(figures, dict) and "temperature" in figures,
        "--false-rejections": share != FALSE_REJECTIONS,
        "--views": metadata.get("views", 1) != config.resolved.views,
    }
    return ", ".join(option for option, is_set in changes.items() if is_set)


def _epochs_done(run: RunDirectory, state: Mapping[str, Any] | None) -> int:
    if state is None and run.read_history():
        raise lost_state(run)
    try:
        return 0 if state is None else State.parse(state["progress"]).epoch
    except (LookupError, ValueError) as error:
        raise other_version(run) from error
