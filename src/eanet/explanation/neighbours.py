"""The training images that a model finds most like an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eanet.data.evenly import evenly
from eanet.deploy.module import RuntimeModule
from eanet.errors import EanetError
from eanet.metrics.evaluation import computed
from eanet.model_files.exported import is_exported
from eanet.models import Classifier
from eanet.training.run_data import load_split, open_run_source
from eanet.training.run_directory import RunDirectory

MOST_IMAGES = 50_000  # training images looked at


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training image that is like another image to a model.

    Attributes:
        pixels: (H, H, 3), as the model saw them.
        class_name: its label.
        similarity: cosine of the two embeddings, from -1 to 1.
    """

    pixels: NDArray[np.uint8]
    class_name: str
    similarity: float


class TrainingImages:
    """The training images of a run, embedded to find those that are like an image.

    Args:
        where: a run directory.
        model: its model.

    Raises:
        EanetError: it is no run, its images are no longer there, or the model is computed by
            another library than PyTorch.
    """

    def __init__(self, where: Path, model: Classifier | RuntimeModule) -> None:
        if isinstance(model, RuntimeModule):
            raise EanetError(
                f"{where} is an exported file: for neighbours, name the run it is from"
                if is_exported(where)
                else "neighbours are found by PyTorch: leave out --runtime"
            )
        run = RunDirectory.open(where)
        images = load_split(run, open_run_source(run), model.config.preprocessing, "train")
        if len(images) > MOST_IMAGES:
            images = images.subset(evenly(range(len(images)), MOST_IMAGES))
        self._images = images
        self._model = model.eval()
        device = str(model.head.weight.device)
        (features,) = computed(self._embed, self._images, device, "embedding the training images")
        self._features = features  # (n, dim), of length 1

    def _embed(self, pixels: Tensor) -> list[Tensor]:
        """Map pixels ``(B, C, H, H)`` to embeddings ``(B, dim)`` of length 1."""
        return [torch.nn.functional.normalize(self._model.pooled_features(pixels).float())]

    def nearest(self, pixels: NDArray[np.uint8], count: int) -> tuple[Neighbour, ...]:
        """Return the training images most like an image (H, H, 3), the nearest first."""
        image = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)  # (1, C, H, H)
        with torch.inference_mode():
            (vector,) = self._embed(image.to(self._model.head.weight.device))
        similarity = self._features @ vector[0].cpu().numpy()  # (n,)
        images = self._images
        return tuple(
            Neighbour(images.images[i], images.classes[int(images.labels[i])], float(similarity[i]))
            for i in np.argsort(-similarity, kind="stable")[:count].tolist()
        )
