"""One weight update: images of the step, augmentation, both passes, optimiser."""

from __future__ import annotations

from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eanet.config import ResolvedSettings
from eanet.data.batches import Batches, derive_seed, take
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.models import Classifier
from eanet.training.optimizer import create_optimizer
from eanet.training.step import TrainingStep, balanced_weights
from eanet.training.teacher import Teacher

ORDER, INITIAL_WEIGHTS, AUGMENTATION, DROPOUT = range(4)  # purposes that seeds are derived for


class Updates:
    """Updates of one model on one set of images; call it once per step, after `set_step`.

    Every random draw is a pure function of seed, epoch and step. A call raises an `EanetError` if a
    GPU has too little memory for it.

    Args:
        model: model on the device of ``fabric``.
        settings: settings of the run.
        images: images to train on.
        fabric: device, precision and processes.
        teacher: another model to learn from as well.
    """

    def __init__(
        self,
        model: Classifier,
        settings: ResolvedSettings,
        images: ImageSet,
        fabric: Fabric,
        teacher: Teacher | None = None,
    ) -> None:
        self.settings, self.images, self.fabric = settings, images, fabric
        self.batches = Batches(
            images,
            settings.batch_size,
            derive_seed(settings.seed, ORDER),
            balanced=settings.balance == "sampling",
        )
        check_shares(self.batches.batch_size, fabric)
        self.optimizer = create_optimizer(model, settings)
        weights = balanced_weights(images.counts()) if settings.balance == "loss" else None
        # Fabric would move what is on another device, but with a warning.
        training_step = TrainingStep(model, settings, weights, teacher).to(fabric.device)
        self._augmentation, step = training_step.augmentation, cast(nn.Module, training_step)
        if settings.compile == "on":
            step = cast(nn.Module, torch.compile(step, dynamic=False))
        self._step, self._wrapped = fabric.setup(step, self.optimizer)
        self._step.train()
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __call__(self, epoch: int, step: int) -> Tensor:
        """Take a step of an epoch (both from 0); return the `tally` ``(4,)`` of this process."""
        settings, fabric = self.settings, self.fabric
        share = slice(fabric.global_rank, None, fabric.world_size)
        images, labels = take(self.images, self._indices(epoch)[step][share])
        seed = derive_seed(settings.seed, AUGMENTATION, epoch, step)
        generator = torch.Generator().manual_seed(seed)
        draws = self._augmentation.draw(self.batches.batch_size, generator)[share]
        torch.manual_seed(derive_seed(settings.seed, DROPOUT, epoch, step, fabric.global_rank))
        try:
            loss, sums = self._step(*(t.to(fabric.device) for t in (images, labels, draws)))
            fabric.backward(loss)
        except torch.OutOfMemoryError as error:
            raise EanetError(
                f"the GPU has too little memory for steps of {self.batches.batch_size} images; a "
                "new run with a smaller --batch-size needs less"
            ) from error
        if settings.clip_norm is not None:
            fabric.clip_gradients(
                self._step,
                self._wrapped,
                max_norm=settings.clip_norm,
                error_if_nonfinite=False,
            )
        self._wrapped.step()
        self._wrapped.zero_grad()
        return cast(Tensor, sums)

    def _indices(self, epoch: int) -> Tensor:
        """Image order of an epoch, ``(steps, batch_size)``, drawn once per epoch."""
        if self._order[0] != epoch:
            self._order = epoch, self.batches.order(epoch)
        return self._order[1]


def check_shares(batch_size: int, fabric: Fabric) -> None:
    """Raise an `EanetError` unless batches can be split evenly among the processes."""
    if batch_size % fabric.world_size:
        raise EanetError(
            f"{fabric.world_size} processes cannot share batches of {batch_size} images; start "
            "a number of processes that divides it, or a new run with another --batch-size"
        )
