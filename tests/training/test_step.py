"""Loss and the sums that scores are made of."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eanet.config import Recipe
from eanet.data.imageset import ImageSet
from eanet.training.step import TrainingStep, score, scores, smoothed_loss, sums_type, tally
from tests.support.draws import neutral_draws

LOGITS = torch.tensor([[3.0, 2, 1, 0, -1, -2], [0, 1, 2, 3, 4, 5], [0, 0, 0, 9, 0, 1]])
LABELS = torch.tensor([0, 0, 5])


def test_the_loss_is_the_cross_entropy_with_smoothed_targets():
    target = torch.nn.functional.one_hot(LABELS, 6) * 0.9 + 0.1 / 6
    expected = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(smoothed_loss(LOGITS, LABELS, 0.1), expected)


def test_tally_counts_right_answers_and_adds_up():
    loss = torch.tensor(2.0)
    assert tally(loss, LOGITS, LABELS).tolist() == [6, 1, 2, 3]
    sums = tally(loss, LOGITS, LABELS) + tally(torch.tensor(5.0), LOGITS[:1], LABELS[:1])
    assert scores(sums) == {"loss": 11 / 4, "accuracy": 2 / 4, "top5": 3 / 4}


def test_top5_of_fewer_classes_is_top_of_all():
    assert scores(tally(torch.tensor(0.0), LOGITS[:, :2], torch.tensor([1, 0, 1])))["top5"] == 1


class Brightest(nn.Module):
    """Logits are the image's mean colours."""

    def forward(self, images: Tensor) -> Tensor:
        return images.float().mean((2, 3)) / 100


def colours(count: int) -> ImageSet:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return ImageSet(pixels, generator.integers(0, 3, count), ("red", "green", "blue"))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_score_counts_every_image_once_whatever_the_batch(batch_size):
    images, model = colours(11), Brightest().train()
    found = score(
        model, images, fabric=Fabric(accelerator="cpu"), batch_size=batch_size, label_smoothing=0.1
    )
    logits = model(torch.from_numpy(images.images).permute(0, 3, 1, 2))
    labels = torch.from_numpy(images.labels)
    assert found["loss"] == pytest.approx(smoothed_loss(logits, labels, 0.1).item(), rel=1e-6)
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert model.training


def test_score_uses_the_compiled_form_for_full_batches_alone():
    seen: list[int] = []

    def forward(images: Tensor) -> Tensor:
        seen.append(len(images))
        return Brightest()(images)

    score(
        Brightest(), colours(11), fabric=Fabric(accelerator="cpu"), batch_size=4, label_smoothing=0,
        forward=forward,
    )  # fmt: skip
    assert seen == [4, 4]


class Spy(Brightest):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return super().forward(images)


def test_a_training_step_augments_raw_pixels_before_the_model():
    model = Spy()
    step = TrainingStep(model, Recipe(flip=True, label_smoothing=0))
    pixels = torch.from_numpy(colours(2).images).permute(0, 3, 1, 2)
    loss, sums = step(pixels, torch.tensor([0, 1]), neutral_draws(2, flip=[0, 1]))
    assert torch.equal(model.seen[0][0], pixels[0].flip(-1).float())
    assert torch.equal(model.seen[0][1], pixels[1].float())
    assert sums[3] == 2
    assert sums[0] == pytest.approx(2 * loss.item())


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_loss_of_a_mixture_is_shared_by_its_labels_and_the_larger_share_is_scored(kind):
    model = Spy()
    step = TrainingStep(model, Recipe(**{kind: 1.0}, label_smoothing=0.1))
    pixels = torch.from_numpy(colours(3).images).permute(0, 3, 1, 2)
    labels, share = torch.tensor([0, 1, 2]), torch.tensor([0.75, 0.0, 1.0])
    draws = neutral_draws(3, share=share, cut_y=0.5, cut_x=0.5)
    loss, sums = step(pixels, labels, draws)
    logits = Brightest()(model.seen[0])

    def cross_entropy(labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")

    own, other = cross_entropy(labels), cross_entropy(labels.roll(1))
    torch.testing.assert_close(loss, (share * own + (1 - share) * other).mean())
    heavier = torch.tensor([0, 0, 2])
    assert sums[1] == (logits.argmax(1) == heavier).sum()
    assert torch.equal(model.seen[0][1], pixels[0].float())
    assert torch.equal(model.seen[0][2], pixels[2].float())


def test_without_mixing_the_images_of_a_step_do_not_meet():
    step = TrainingStep(Brightest(), Recipe(erasing=0.5, label_smoothing=0))
    pixels = torch.from_numpy(colours(6).images).permute(0, 3, 1, 2)
    draws = step.augmentation.draw(6, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    together = step(pixels, labels, draws)[0]
    alone = [step(pixels[i : i + 1], labels[i : i + 1], draws[i : i + 1])[0] for i in range(6)]
    torch.testing.assert_close(together, torch.stack(alone).mean())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_a_step_that_mixes_compiles_into_one_graph_that_does_the_same():
    recipe = Recipe(flip=True, mixup=0.2, cutmix=1.0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5, bias=False))
    step = TrainingStep(model, recipe)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (28, 3, 16, 16), dtype=torch.uint8, generator=generator)
    arguments = pixels, torch.arange(28) % 5, step.augmentation.draw(28, generator)
    expected = step(*arguments)
    compiled = torch.compile(step, fullgraph=True, dynamic=False)(*arguments)
    torch.testing.assert_close(compiled, expected, rtol=1e-4, atol=1e-2)


def test_sums_have_a_type_that_every_device_has():
    types = {device: sums_type(torch.device(device)) for device in ("cpu", "cuda", "mps")}
    assert types == {"cpu": torch.float64, "cuda": torch.float64, "mps": torch.float32}
