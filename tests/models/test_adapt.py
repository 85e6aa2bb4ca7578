"""Models for other images and classes than they were made for."""

from __future__ import annotations

import pytest
import torch

from eanet import EanetError, create_model, load_model, save_model
from eanet.models import adapt_model
from eanet.models.adapt import POSITION, resize_positions
from tests.support.settings import blocks


@pytest.mark.parametrize("name", ["eanet_tiny", "keras_eanet"])
def test_a_model_of_another_size_keeps_all_but_its_positions(name):
    torch.manual_seed(0)
    mean_std = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    model = create_model(name, classes=["a", "b"], normalization=mean_std, **blocks(name, 1)).eval()
    larger = adapt_model(model, image_size=48)
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
    assert adapt_model(model, image_size=64).embedding.grid == 16


def test_a_model_keeps_its_type():
    larger = adapt_model(create_model("eanet_tiny", depth=1).double(), image_size=64)
    assert {p.dtype for p in larger.parameters()} == {torch.float64}


def test_classes_that_the_head_knows_by_name_keep_their_outputs():
    model = create_model("keras_eanet", classes=["a", "b", "c"], num_transformer_blocks=1).eval()
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    fewer = adapt_model(model, classes=["c", "a"])
    assert fewer.classes == ("c", "a")
    torch.testing.assert_close(fewer(pixels), model(pixels)[:, [2, 0]])


def test_a_loaded_model_gets_a_new_head_and_rates_to_fine_tune_it(tmp_path):
    save_model(create_model("eanet_tiny", classes=["a", "b"], depth=1), tmp_path)
    trained = load_model(tmp_path)
    model = load_model(tmp_path, classes=["b", "c"], image_size=48, dropout=0.1, drop_path=0.2)
    assert model.config.settings["dropout"] == 0.1
    assert model.config.settings["drop_path"] == 0.2
    assert model(torch.zeros(1, 3, 48, 48)).shape == (1, 2)
    assert not torch.equal(model.head.weight, trained.head.weight)
    body = model.blocks.state_dict()
    assert all(torch.equal(body[n], x) for n, x in trained.blocks.state_dict().items())
    again = load_model(save_model(model, tmp_path / "own"))
    assert again.classes == ("b", "c")
    unnamed = load_model(tmp_path, num_classes=5)
    assert unnamed.classes[4] == "class 4"
    again = adapt_model(unnamed, num_classes=3).head.weight
    assert not torch.equal(again, unnamed.head.weight[:3]), "another class 0"
    assert torch.equal(adapt_model(unnamed, image_size=48).head.weight, unnamed.head.weight)
    with pytest.raises(EanetError, match="a dropout probability is at least 0 and below 1, not 2"):
        load_model(tmp_path, dropout=2)


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
