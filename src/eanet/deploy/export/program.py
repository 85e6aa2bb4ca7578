"""What an exported file computes: from the pixels of an upright image to probabilities."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from eanet.deploy.export.resize import Resize
from eanet.model_files.config import check_rgb
from eanet.models import Classifier
from eanet.models.weights import check_head, unwrapped

Pixels = NDArray[np.uint8]  # (B, H, W, 3)
Probabilities = NDArray[np.float32]  # (B, K)

INPUT = "pixels"
AXES = ("batch", "height", "width")  # of any length
_EXAMPLE = (2, 3, 5, 3)  # of other sizes than those of the network, which must not become constants


class Program(nn.Module):
    """A classifier with its preprocessing.

    Args:
        model: the classifier, on the CPU and in float32.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.resize = Resize(model.config.image_size, model.config.preprocessing)
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Map upright RGB images, uint8 ``(B, H, W, 3)``, to what `outputs` names.

        Any batch size, height and width of at least 1 will do.
        """
        logits, distance = self.model.forward_with_distance(self.resize(pixels))
        found = (logits, logits.softmax(dim=1), distance)
        return tuple(output for output in found if output is not None)


def outputs(model: Classifier) -> list[str]:
    """Return the outputs of an exported model: ``logits`` and ``probabilities``, both ``(B, K)``.

    If it can tell that an image is unlike all it was trained on, also ``distance (B,)``: see
    `eanet.deploy.prediction.Outputs`.
    """
    return ["logits", "probabilities", *(["distance"] if model.detector is not None else [])]


def trace(model: Classifier) -> ExportedProgram:
    """Record what a model computes, from `Program`, for any number of images of any size.

    The model stays as it is: a copy is recorded, on the CPU, in float32 and evaluation mode.

    Raises:
        EanetError: the model does not take RGB images, or its head does not fit its classes.
    """
    model = unwrapped(model)
    check_head(model)
    check_rgb(model.config)
    program = Program(copy.deepcopy(model).cpu().float()).eval().requires_grad_(False)
    sizes = {axis: Dim(name, min=1) for axis, name in enumerate(AXES)}
    example = torch.zeros(_EXAMPLE, dtype=torch.uint8)
    with quiet():
        traced = torch.export.export(program, (example,), dynamic_shapes={INPUT: sizes})
    for node in traced.graph.nodes:  # lines of code with paths of this machine
        node.meta.pop("stack_trace", None)
    return traced


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back warnings of PyTorch's exporter about its own insides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
