"""Models at another image size than they were made for."""

from __future__ import annotations

import pytest
import torch

from eanet import create_model
from eanet.models import resize_model, resize_positions
from eanet.models.resize import POSITION


@pytest.mark.parametrize("name", ["eanet_tiny", "keras_eanet"])
def test_a_model_of_another_size_keeps_all_but_its_positions(name):
    torch.manual_seed(0)
    mean_std = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    model = create_model(name, classes=["a", "b"], depth=1, normalization=mean_std).eval()
    larger = resize_model(model, 48)
    assert larger.config.image_size == 48
    assert larger.classes == model.classes
    assert not larger.training
    assert larger(torch.zeros(1, 3, 48, 48)).shape == (1, 2)
    before, after = model.state_dict(), larger.state_dict()
    assert [n for n in before if not torch.equal(before[n], after[n])] == [POSITION]
    assert len(after[POSITION]) == 1.5**2 * len(before[POSITION])
    assert larger.embedding.patch_size == model.embedding.patch_size


def test_a_size_whose_own_patch_differs_is_reached_with_the_models_patch():
    model = create_model("eanet_tiny", depth=1)
    assert create_model("eanet_tiny", image_size=64, depth=1).embedding.patch_size == 8
    assert resize_model(model, 64).embedding.grid == 16


def test_a_model_keeps_its_type():
    larger = resize_model(create_model("eanet_tiny", depth=1).double(), 64)
    assert {p.dtype for p in larger.parameters()} == {torch.float64}


def test_the_same_grid_changes_nothing():
    weights = create_model("vit", depth=1).state_dict()
    assert torch.equal(resize_positions(weights, 16)[POSITION], weights[POSITION])


def test_positions_are_resampled_as_the_picture_they_are():
    """Parabolas, which bicubic resampling keeps and bilinear does not; rows unlike columns."""

    def parabolas(side: int) -> torch.Tensor:
        x = (torch.arange(side) + 0.5) / side
        rows, columns = torch.meshgrid(x**2, 1 - x**2, indexing="ij")
        return torch.stack([rows, columns], dim=-1)  # (g, g, d)

    weights = {POSITION: parabolas(8).flatten(0, 1), "head.bias": torch.ones(1)}
    resized = resize_positions(weights, 16)
    assert resized["head.bias"] is weights["head.bias"]
    inner = resized[POSITION].unflatten(0, (16, 16))[3:-3, 3:-3]
    torch.testing.assert_close(inner, parabolas(16)[3:-3, 3:-3])
