"""Distillation: learning from the predictions of a trained model as well as from labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.data.findings import Finding
from eanet.data.record import is_seen
from eanet.data.splits import Dataset
from eanet.errors import EanetError
from eanet.training.pretrained import Pretrained


class Teacher(nn.Module):
    """Class probabilities from a trained model, which say more about images than their labels.

    Hinton et al., 2015, arXiv 1503.02531, at temperature 1. The teacher sees the same pixels as the
    model in training, mixtures included (Beyer et al., 2021, arXiv 2106.05237), scaled to the size
    that it was trained at.

    Args:
        trained: the model to learn from, which is frozen.
        classes: classes of the run, in the order of its logits.

    Raises:
        EanetError: the model does not know these classes.
    """

    def __init__(self, trained: Pretrained, classes: Sequence[str]) -> None:
        super().__init__()
        self.model = trained.model.requires_grad_(False)
        config = self.model.config
        if unknown := [name for name in classes if name not in config.classes]:
            known = ", ".join(config.classes[:3])
            raise EanetError(
                f"teacher {trained.where} lacks {len(unknown)} of these {len(classes)} classes, "
                f"such as {unknown[0]}; it knows {len(config.classes)}, such as {known}"
            )
        order = torch.tensor([config.classes.index(name) for name in classes])
        self.order: Tensor
        self.register_buffer("order", order)

    @classmethod
    def of(cls, trained: Pretrained | None, classes: Sequence[str]) -> Teacher | None:
        """Return the teacher of a run, if it has one."""
        return None if trained is None else cls(trained, classes)

    @staticmethod
    def seen(trained: Pretrained, dataset: Dataset) -> Dataset:
        """Return the data set with a finding if a teacher has seen images that it is tested on."""
        if trained.images is None:
            return dataset
        if not (seen := int(is_seen(trained.images.splits_of(dataset.test), "test").sum())):
            return dataset
        finding = Finding(
            f"the teacher was trained or validated on {seen:,} of the {len(dataset.test):,} test "
            "images and can pass on what it remembers of them, which inflates the result",
            "",
            "take a teacher that has not seen them, or test on other images",
        )
        return replace(dataset, findings=(*dataset.findings, finding))

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode, whatever the mode of the model in training."""
        del mode
        return super().train(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map raw pixels ``(B, 3, H, W)`` to probabilities of the run's classes ``(B, K)``."""
        size = self.model.config.image_size
        if pixels.shape[-1] != size:
            pixels = F.interpolate(pixels.float(), (size, size), mode="bilinear", antialias=True)
        logits: Tensor = self.model(pixels)[:, self.order]  # (B, K)
        return logits.float().softmax(1)
