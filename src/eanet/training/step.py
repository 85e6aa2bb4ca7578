"""What one step computes, and the sums that accuracy and loss are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from eanet.config import Recipe
from eanet.data.augment import Augmentation, AugmentSettings
from eanet.data.batches import in_order
from eanet.data.imageset import ImageSet


def smoothed_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Mean cross-entropy of logits ``(B, K)`` with smoothed labels ``(B,)``.

    Szegedy et al., 2015, arXiv 1512.00567, section 7: the target is ``1 - s`` on the class plus
    ``s / K`` on every class.
    """
    return F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)


def tally(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Sums ``(4,)`` of a batch: loss, right at the first guess, right within five, images."""
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5)
    right = best.eq(labels.unsqueeze(1))  # (B, 5)
    count = len(labels)
    return torch.stack(
        [loss.detach() * count, right[:, 0].sum(), right.sum(), torch.full_like(loss, count)]
    )


def scores(sums: Tensor) -> dict[str, float]:
    """Mean loss, accuracy and top-5 accuracy (fractions) of added `tally` sums ``(4,)``."""
    loss, top1, top5, count = sums.tolist()
    return {"loss": loss / count, "accuracy": top1 / count, "top5": top5 / count}


class TrainingStep(nn.Module):
    """Augmentation, forward pass and loss: one graph for the compiler.

    Args:
        model: raw pixels ``(B, C, H, W)`` to logits ``(B, K)``.
        augmentation: of raw pixels.
        label_smoothing: of the loss.
    """

    def __init__(
        self, model: nn.Module, augmentation: Augmentation, label_smoothing: float
    ) -> None:
        super().__init__()
        self.model = model
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing

    def forward(self, images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and `tally` of raw pixels ``(B, C, H, W)`` with their draws ``(B, D)``."""
        logits = self.model(self.augmentation(images, draws))
        loss = smoothed_loss(logits, labels, self.label_smoothing)
        return loss, tally(loss, logits, labels)


def create_step(model: nn.Module, recipe: Recipe) -> TrainingStep:
    """The step of training ``model`` as the recipe says."""
    augmentation = Augmentation(
        AugmentSettings(
            flip=bool(recipe.flip),
            rotation=recipe.rotation,
            zoom=recipe.zoom,
            contrast=recipe.contrast,
        )
    )
    return TrainingStep(model, augmentation, recipe.label_smoothing)


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
        model: raw pixels to logits; put into evaluation mode and back.
        images: all of them count once, whatever the number of processes.
        fabric: device, precision and processes.
        batch_size: images a step.
        label_smoothing: of the loss, as in training, so that the two can be compared.
        forward: a compiled form of ``model`` for the batches that are full.
    """
    was_training = model.training
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=fabric.device)
    for number, (pixels, labels) in enumerate(in_order(images, batch_size)):
        if number % fabric.world_size != fabric.global_rank:
            continue
        pixels, labels = pixels.to(fabric.device), labels.to(fabric.device)
        with fabric.autocast():
            run = forward if forward is not None and len(labels) == batch_size else model
            logits = run(pixels)
        sums += tally(smoothed_loss(logits, labels, label_smoothing), logits, labels)
    model.train(was_training)
    return scores(cast(Tensor, fabric.all_reduce(sums, reduce_op="sum")))
