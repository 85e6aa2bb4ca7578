from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import eanet
from eanet.data.batches import Batches, take
from eanet.data.source import open_source
from eanet.data.splits import Dataset
from eanet.explanation.occlusion import hide, rate_regions
from eanet.models.embedding import Normalization


class _Corner(nn.Module):
    """Sure of class 1 by one square of 4 x 4 pixels, and of nothing else."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign
        self.normalization = Normalization([100.0] * 3, [1.0] * 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        light = (images[:, :, 4:8, 8:12].mean((1, 2, 3)) - 100) / 50
        return torch.stack([torch.zeros_like(light), self.sign * light], dim=1)


@pytest.mark.parametrize("size", [32, 33])  # the squares at the edge may be narrower
def test_the_one_square_that_counts_is_found(size: int) -> None:
    pixels = torch.full((3, size, size), 200, dtype=torch.uint8)
    found = rate_regions(_Corner(1), pixels, 1)  # type: ignore[arg-type]
    lost = torch.sigmoid(torch.tensor(2.0)).item() - 0.5
    assert found.side == 4
    assert found.losses.shape == (-(-size // 4),) * 2
    assert np.argwhere(found.strongest).tolist() == [[1, 2]]
    assert found.losses[1, 2] == pytest.approx(lost)
    assert np.count_nonzero(np.abs(found.losses) > 1e-6) == 1
    assert found.without_strongest == pytest.approx(0.5)
    assert found.without_random > 0.8


def test_where_no_square_speaks_for_the_class_none_is_named() -> None:
    pixels = torch.full((3, 32, 32), 200, dtype=torch.uint8)
    found = rate_regions(_Corner(-1), pixels, 1)  # type: ignore[arg-type]
    assert not found.strongest.any()
    assert found.losses.min() == found.losses[1, 2] < 0
    assert found.without_strongest == found.without_random < 0.5


def test_hidden_squares_take_the_cover_and_the_others_stay() -> None:
    pixels = torch.arange(3 * 6 * 6).view(3, 6, 6).to(torch.uint8)
    chosen = torch.zeros(2, 36, dtype=torch.bool)
    chosen[1, [0, 35]] = True
    hidden = hide(pixels, chosen, torch.tensor([300.0, 301.0, 302.0]).view(3, 1, 1))
    assert torch.equal(hidden[0], pixels.float())
    assert hidden[1, :, 0, 0].tolist() == hidden[1, :, 5, 5].tolist() == [300, 301, 302]
    assert (hidden[1] > 299).sum() == 6


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_source("digits").load()


@pytest.fixture(scope="module")
def model(digits: Dataset) -> eanet.Classifier:
    """A small model that has learned the digits as far as a few seconds allow."""
    torch.manual_seed(0)
    small = {"dim": 32, "depth": 2, "heads": 2, "slots": 16}
    model = eanet.create_model("eanet_nano", classes=digits.train.classes, image_size=8, **small)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batches = Batches(digits.train, 64, seed=0)
    for indices in (step for epoch in range(4) for step in batches.order(epoch)):
        pixels, labels = take(digits.train, indices)
        nn.functional.cross_entropy(model(pixels), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def test_regions_are_the_same_whatever_the_default_device(
    digits: Dataset, model: eanet.Classifier
) -> None:
    pixels, _ = digits.train[0]
    expected = rate_regions(model, torch.from_numpy(pixels), 3)
    with torch.device("meta"):  # stands for a GPU
        found = rate_regions(model, torch.from_numpy(pixels), 3)
    assert (found.losses == expected.losses).all()
    assert found.without_random == expected.without_random


def test_hiding_the_strongest_regions_costs_more_than_hiding_as_many_at_random(
    digits: Dataset, model: eanet.Classifier
) -> None:
    assert digits.test is not None
    images, labels = take(digits.test, slice(0, 40))
    with torch.inference_mode():
        before, predicted = model(images).softmax(1).max(1)
    assert (predicted == labels).float().mean() > 0.7  # one that has learned nothing rests on none
    strongest, random = [], []
    for pixels, label in zip(images, predicted.tolist(), strict=True):
        found = rate_regions(model, pixels, label)
        strongest.append(found.without_strongest)
        random.append(found.without_random)
    lost, lost_at_random = (before.mean() - np.mean(after) for after in (strongest, random))
    assert lost > 2 * lost_at_random > 0
    assert np.mean(np.less(strongest, random)) > 0.8
