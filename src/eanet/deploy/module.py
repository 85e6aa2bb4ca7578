"""A runtime as a module of PyTorch, for what takes a classifier and needs no weights of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eanet.deploy.choosing import open_runtime
from eanet.deploy.runtime import Runtime, RuntimeName
from eanet.deploy.torch_runtime import TorchRuntime
from eanet.model_files.exported import is_exported
from eanet.model_files.metadata import mean_colour
from eanet.models import Classifier
from eanet.models.embedding import Normalization
from eanet.models.unknown import DetectorFit


class _Detector(NamedTuple):
    """A detector whose distances a runtime computes."""

    fit: DetectorFit


class RuntimeModule(nn.Module):
    """What a runtime computes, as a module: evaluated and explained by occlusion, not changed.

    Args:
        runtime: what computes, on the CPU.

    Raises:
        EanetError: the model's file does not say how it normalises images.
    """

    attention_layers: tuple[int, ...] = ()  # none that could be looked at

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.config = runtime.config
        self.runtime = runtime
        mean = mean_colour(runtime.metadata)
        self.normalization = Normalization(mean, [1.0] * len(mean))

    @property
    def detector(self) -> _Detector | None:
        """What is known of its detector of unknown images, if it has one."""
        fit = self.runtime.metadata.get("unknown")
        return None if fit is None else _Detector(DetectorFit(**fit))

    @property
    def views(self) -> int:
        """The number of views of an image that it averages over."""
        return int(self.runtime.metadata.get("views", 1))

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, in the order of the logits."""
        return self.config.classes

    def forward(self, images: Tensor) -> Tensor:
        """Map raw pixels ``(B, C, H, W)``, 0..255, rounded if floating, to logits ``(B, K)``."""
        return self.forward_with_distance(images)[0]

    def forward_with_distance(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Like `forward`, also with distances ``(B,)``: see `eanet.deploy.prediction.Outputs`."""
        levels = images.round().to(torch.uint8) if images.is_floating_point() else images
        pixels = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (B, H, W, C)
        logits, distance = self.runtime(pixels)
        return torch.from_numpy(logits), None if distance is None else torch.from_numpy(distance)


def open_model(
    where: str | Path, runtime: RuntimeName = "auto", device: str = "auto"
) -> Classifier | RuntimeModule:
    """Open a model as a module: PyTorch's own, unless it is exported or another is asked for.

    Arguments and errors as for `open_runtime`, but ``auto`` takes PyTorch where it can.
    """
    is_ours = runtime == "auto" and not is_exported(where)
    opened = open_runtime(where, "torch" if is_ours else runtime, device)
    return opened.model if isinstance(opened, TorchRuntime) else RuntimeModule(opened)
