"""The history as TensorBoard events, on request."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from eanet.errors import EanetError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def check_tensorboard() -> None:
    """Raise an `EanetError` unless TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        raise EanetError("--tensorboard needs TensorBoard: pip install tensorboard")


def event_writer(directory: Path, epochs_done: int) -> SummaryWriter:
    """Create an event writer; hide events of an earlier attempt later than ``epochs_done``.

    Raises:
        EanetError: TensorBoard is not installed.
    """
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory), purge_step=epochs_done + 1)
