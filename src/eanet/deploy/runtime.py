"""What computes a model, with whichever library: pixels in, logits and distances out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eanet.deploy.prediction import Outputs
from eanet.device import Device
from eanet.errors import EanetError, one_line, unknown_name
from eanet.model_files.config import ModelConfig

RuntimeName = Literal["auto", "torch", "onnxruntime", "openvino"]
Precision = Literal["fp32", "bf16"]
Pixels = NDArray[np.uint8]


def check_precision(precision: str) -> None:
    """Raise an `EanetError` for a precision that there is not."""
    if precision not in get_args(Precision):
        raise unknown_name("precision", precision, get_args(Precision))


@runtime_checkable
class Runtime(Protocol):
    """A model, and the library that computes it.

    Attributes:
        name: of the library.
        config: of the model.
        metadata: what else its file says: see `eanet.models.weights.model_metadata`.
        precision: what is computed in.
        device: where.
    """

    name: str
    config: ModelConfig
    metadata: Mapping[str, Any]
    precision: Precision
    device: Device

    @property
    def threads(self) -> int:
        """The number of cores to compute on."""
        ...

    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute one batch on all cores; on one while other programs keep cores busy.

        Args:
            pixels: (B, S, S, 3), RGB, of the model's size S.
        """
        ...

    def on_one_core(self, pixels: Pixels) -> Outputs:
        """Compute one batch in a thread that is one of `threads`: the others have the other cores.

        Arguments and result as for the call. What belongs to the calling thread, such as its number
        of cores in PyTorch, may stay changed: the thread should be for this alone.
        """
        ...


@contextmanager
def errors_of(library: str) -> Iterator[None]:
    """Turn whatever a library raises about a graph, which anybody may have made, into one line."""
    try:
        yield
    except EanetError:
        raise
    except Exception as error:
        raise EanetError(
            f"{library} cannot compute the model; if it comes from a file, that may be damaged: "
            f"export it again ({one_line(error)[:200]})"
        ) from error
