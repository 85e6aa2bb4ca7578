"""The history as TensorBoard events, on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eanet.errors import EanetError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def event_writer(directory: Path, epochs_done: int) -> SummaryWriter:
    """A writer of events; those of an earlier try behind ``epochs_done`` are hidden.

    Raises:
        EanetError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise EanetError(
            '--tensorboard needs TensorBoard: pip install "eanet[tensorboard]"'
        ) from error
    return SummaryWriter(str(directory), purge_step=epochs_done + 1)
