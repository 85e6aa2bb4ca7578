"""The computation of one step, and the sums from which accuracy and loss are derived."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from eanet.config import Recipe
from eanet.data.augment import Augmentation, Draws
from eanet.data.augment.mixing import mix, mix_labels
from eanet.data.batches import in_order
from eanet.data.imageset import ImageSet


def smoothed_loss(
    logits: Tensor, targets: Tensor, label_smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of logits ``(B, K)`` with smoothed labels.

    Szegedy et al., 2015, arXiv 1512.00567, section 7: the target is ``1 - s`` on the class plus
    ``s / K`` on every class.

    Args:
        logits: outputs of a model.
        targets: labels ``(B,)``, or class probabilities ``(B, K)``.
        label_smoothing: the share ``s``.
        weights: weight of each image, ``(B,)``; unset: all equal.
    """
    if weights is None:
        return F.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)
    losses = F.cross_entropy(
        logits.float(), targets, label_smoothing=label_smoothing, reduction="none"
    )  # (B,)
    return (losses * weights).mean()


def balanced_weights(counts: NDArray[np.int64]) -> Tensor:
    """Weights ``(K,)`` that balance classes of ``counts`` ``(K,)`` images; 1 on average."""
    images = torch.from_numpy(counts).float()
    return images.sum() / (len(images) * images)


def image_weights(targets: Tensor, class_weights: Tensor) -> Tensor:
    """Weights ``(B,)`` of images from their labels ``(B,)`` or class shares ``(B, K)``."""
    if targets.ndim == 1:
        return class_weights[targets]
    return (targets * class_weights).sum(1)  # no matrix product: autocast would round the weights


def tally(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Sums ``(4,)`` over a batch: loss, top-1 correct, top-5 correct, images."""
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5)
    right = best.eq(labels.unsqueeze(1))  # (B, 5)
    count = len(labels)
    return torch.stack(
        [loss.detach() * count, right[:, 0].sum(), right.sum(), torch.full_like(loss, count)]
    )


def sums_type(device: torch.device) -> torch.dtype:
    """Type for adding up `tally` sums: float64, except on Apple's GPUs, which lack it."""
    return torch.float32 if device.type == "mps" else torch.float64


def scores(sums: Tensor) -> dict[str, float]:
    """Mean loss, accuracy and top-5 accuracy (fractions) from added-up `tally` sums ``(4,)``."""
    loss, top1, top5, count = sums.tolist()
    return {"loss": loss / count, "accuracy": top1 / count, "top5": top5 / count}


class TrainingStep(nn.Module):
    """Augmentation, forward pass and loss: one graph for the compiler.

    Mixup and CutMix mix images within this process's share of the batch. Accuracy then counts the
    label with the larger share of each mixture.

    Args:
        model: maps raw pixels ``(B, C, H, W)`` to logits ``(B, K)``.
        settings: the recipe, with augmentation, label smoothing and teacher share.
        class_weights: weight of an image of each class, ``(K,)``; unset: all equal.
        teacher: maps the same pixels to probabilities ``(B, K)``, which are learned as well.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: Recipe,
        class_weights: Tensor | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.augmentation = Augmentation(settings)
        self.teacher = teacher
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights)

    def forward(self, images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and `tally` of raw pixels ``(B, C, H, W)`` with their draws ``(B, D)``."""
        pixels, targets = self.augmentation(images, draws), labels
        if self.settings.mixes:
            pixels, share = mix(pixels, Draws.of(draws), self.settings)
        logits = self.model(pixels)
        if self.settings.mixes:
            targets = mix_labels(labels, share, logits.shape[1])  # (B, K)
            labels = targets.argmax(1)
        weights = None
        if self.class_weights is not None:
            weights = image_weights(targets, self.class_weights)
        loss = smoothed_loss(logits, targets, self.settings.label_smoothing, weights)
        if self.teacher is not None:
            taught = smoothed_loss(logits, self.teacher(pixels), 0.0, weights)
            loss = torch.lerp(loss, taught, self.settings.teacher_share)
        return loss, tally(loss, logits, labels)


@torch.no_grad()
def score(
    model: nn.Module,
    images: ImageSet,
    *,
    fabric: Fabric,
    batch_size: int,
    label_smoothing: float,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """Loss, accuracy and top-5 accuracy of a model over an image set, without augmentation.

    Args:
        model: maps raw pixels to logits; put into evaluation mode and back.
        images: each counts once, whatever the number of processes.
        fabric: device, precision and processes.
        batch_size: images per step.
        label_smoothing: as in training, so that the two losses can be compared in runs that learn
            only from labels.
        forward: a compiled form of ``model``, used for full batches.
    """
    was_training = model.training
    model.eval()
    sums = torch.zeros(4, dtype=sums_type(fabric.device), device=fabric.device)
    share = in_order(images, batch_size, fabric.global_rank, fabric.world_size)
    for pixels, labels in share:
        pixels, labels = pixels.to(fabric.device), labels.to(fabric.device)
        with fabric.autocast():
            run = forward if forward is not None and len(labels) == batch_size else model
            logits = run(pixels)
        sums += tally(smoothed_loss(logits, labels, label_smoothing), logits, labels)
    model.train(was_training)
    return scores(cast(Tensor, fabric.all_reduce(sums, reduce_op="sum")))
