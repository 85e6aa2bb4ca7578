"""What each update draws: a function of seed, epoch and step, and of nothing else."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from eanet.config import TrainSettings
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.models import create_model
from eanet.training import updates as module
from eanet.training.engine import create_fabric
from eanet.training.updates import Updates
from tests.support.settings import resolved

IMAGES = ImageSet(
    np.random.default_rng(0).integers(256, size=(64, 8, 8, 3), dtype=np.uint8),
    np.arange(64) % 2,
    ("a", "b"),
)
STEPS = list(product((0, 1), repeat=2))


def drawn(monkeypatch: pytest.MonkeyPatch, seed: int) -> list[dict[str, torch.Tensor]]:
    """Images, draws of the augmentation and dropout of the first steps of two epochs."""
    settings = resolved(batch_size=32, flip=True, seed=seed)
    model = create_model("vit:depth=1,dim=16", classes=("a", "b"), image_size=8)
    updates, take, found = (
        Updates(model, settings, IMAGES, Fabric(accelerator="cpu")),
        module.take,
        [],
    )
    draw = updates._augmentation.draw
    with monkeypatch.context() as patch:
        patch.setattr(
            module, "take", lambda images, i: (found[-1].update(order=i), take(images, i))[1]
        )
        patch.setattr(
            updates._augmentation,
            "draw",
            lambda *a: found[-1].setdefault("augmentation", draw(*a)),
        )
        model.register_forward_pre_hook(lambda *_: found[-1].update(dropout=torch.rand(4)))
        for epoch, step in STEPS:
            found.append({})
            updates(epoch, step)
    return found


def test_every_step_draws_anew_and_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again, other = (drawn(monkeypatch, seed) for seed in (0, 0, 1))
    for what in ("order", "augmentation", "dropout"):
        values = [step[what] for step in (*first, *other)]
        for number, value in enumerate(values):
            assert not any(torch.equal(value, later) for later in values[number + 1 :]), what
        for one, two in zip(first, again, strict=True):
            assert torch.equal(one[what], two[what]), what


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_draws_reach_the_augmentation_as_they_were_drawn(precision: str) -> None:
    """Rounded to bfloat16, one in 512 would be 1, which is outside of what is drawn."""
    fabric = create_fabric(TrainSettings(device="cpu", precision=precision))
    model = create_model("vit:depth=1,dim=16", classes=("a", "b"), image_size=8)
    updates = Updates(model, resolved(batch_size=32), IMAGES, fabric)
    given = []
    updates._augmentation.register_forward_pre_hook(lambda _, inputs: given.append(inputs[1]))
    updates(0, 0)
    assert given[0].dtype == torch.float32


def test_too_little_memory_on_a_gpu_says_what_needs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    model = create_model("vit:depth=1,dim=16", classes=("a", "b"), image_size=8)
    updates = Updates(model, resolved(batch_size=32), IMAGES, Fabric(accelerator="cpu"))

    def fill(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(updates.fabric, "backward", fill)
    with pytest.raises(EanetError, match="too little memory for steps of 32 images; a new run"):
        updates(0, 0)
