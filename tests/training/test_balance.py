"""Classes of unequal sizes: by the loss or by the sampling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import eanet
from eanet.config import Recipe
from eanet.data.batches import Batches
from eanet.training import updates
from eanet.training.step import TrainingStep, balanced_weights, image_weights, smoothed_loss
from tests.support.draws import neutral_draws

LABELS = torch.tensor([0] * 6 + [1] * 2 + [2])


def test_weighted_every_class_has_the_same_share_of_the_loss():
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    weights = balanced_weights(np.bincount(LABELS))
    of_classes = [smoothed_loss(logits[k == LABELS], LABELS[k == LABELS], 0.1) for k in range(3)]
    expected = torch.stack(of_classes).mean()
    one_hot = torch.nn.functional.one_hot(LABELS, 3).float()
    for targets in (LABELS, one_hot):
        of_images = image_weights(targets, weights)
        torch.testing.assert_close(smoothed_loss(logits, targets, 0.1, of_images), expected)


def test_an_image_weighs_the_same_in_any_batch():
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    weights = balanced_weights(np.bincount(LABELS))
    batches = [(logits[i : i + 3], LABELS[i : i + 3]) for i in (0, 3, 6)]
    parts = [smoothed_loss(x, y, 0.1, image_weights(y, weights)) for x, y in batches]
    whole = smoothed_loss(logits, LABELS, 0.1, image_weights(LABELS, weights))
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_what_a_teacher_says_counts_by_the_class_of_the_image():
    class Wrong(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0, 0]]).expand(len(images), 3)  # always the common class

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    weights, pixels = balanced_weights(np.bincount(LABELS)), torch.rand(9, 3, 2, 2)
    step = TrainingStep(model, Recipe(teacher_share=1.0), weights, Wrong())
    loss, _ = step(pixels, LABELS, neutral_draws(9))
    losses = -model(pixels).log_softmax(1)[:, 0]
    torch.testing.assert_close(loss, (losses * weights[LABELS]).mean())


def test_a_mixture_weighs_as_much_as_the_shares_of_its_classes():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    weights, pixels = balanced_weights(np.bincount(LABELS)), torch.rand(9, 3, 2, 2)
    step = TrainingStep(model, Recipe(mixup=1.0, label_smoothing=0), weights)
    loss, _ = step(pixels, LABELS, neutral_draws(9, share=0.75))
    of_classes = torch.nn.functional.one_hot(LABELS, 3).float()
    shares = 0.75 * of_classes + 0.25 * of_classes.roll(1, 0)
    losses = -(shares * model(0.75 * pixels + 0.25 * pixels.roll(1, 0)).log_softmax(1)).sum(1)
    torch.testing.assert_close(loss, (losses * (shares @ weights)).mean())


def test_the_weights_of_the_images_are_one_on_average():
    weights = balanced_weights(np.bincount(LABELS))
    assert weights.tolist() == pytest.approx([0.5, 1.5, 3])
    assert weights[LABELS].mean().item() == pytest.approx(1)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("balance", ["off", "sampling", "loss"])
def test_a_training_balances_as_it_is_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, balance: str
) -> None:
    made: dict[str, object] = {}

    class SpyBatches(Batches):
        def __init__(self, *args: object, **options: object) -> None:
            made.update(options)
            super().__init__(*args, **options)  # type: ignore[arg-type]

    class SpyStep(TrainingStep):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            made["weights"] = self.class_weights

    monkeypatch.setattr(updates, "Batches", SpyBatches)
    monkeypatch.setattr(updates, "TrainingStep", SpyStep)
    eanet.train(
        photos, image_size=8, epochs=1, balance=balance, compile="off", output=tmp_path, threads=1
    )
    assert made["balanced"] == (balance == "sampling")
    assert (made["weights"] is not None) == (balance == "loss")
