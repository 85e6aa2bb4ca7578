"""Loss and the sums that scores are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eanet.data.augment import Augmentation, AugmentSettings
from eanet.data.imageset import ImageSet
from eanet.training.step import TrainingStep, score, scores, smoothed_loss, tally

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


def test_a_training_step_augments_raw_pixels_before_the_model():
    seen: list[Tensor] = []

    class Spy(Brightest):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return super().forward(images)

    augmentation = Augmentation(AugmentSettings(flip=True))
    step = TrainingStep(Spy(), augmentation, 0.0)
    pixels = torch.from_numpy(colours(2).images).permute(0, 3, 1, 2)
    draws = augmentation.draw(2, torch.Generator().manual_seed(0))
    draws[:, 0] = torch.tensor([0.0, 1.0])  # the first is mirrored, the second is not
    loss, sums = step(pixels, torch.tensor([0, 1]), draws)
    assert torch.equal(seen[0][0], pixels[0].flip(-1).float())
    assert torch.equal(seen[0][1], pixels[1].float())
    assert sums[3] == 2
    assert sums[0] == pytest.approx(2 * loss.item())
