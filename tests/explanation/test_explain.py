from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import eanet
from eanet.errors import EanetError, WrongArgumentError
from eanet.explanation.explain import explain_image
from eanet.explanation.picture import plot_explanation
from eanet.models import models
from tests.support.pictures import drawn_texts
from tests.support.pictures import pixels as drawn
from tests.support.settings import blocks

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
CLASSES = ["ant", "蜂", "a class of a name that is much too long for any place in the picture"]


def model(name: str = "eanet_nano", **settings: int) -> eanet.Classifier:
    torch.manual_seed(0)
    settings = {"image_size": 16} | blocks(name, 2) | settings
    return eanet.create_model(name, classes=CLASSES, **settings)


@pytest.mark.parametrize("name", [entry.name for entry in models()])
def test_every_model_is_explained_in_a_picture(name: str, tmp_path: Path) -> None:
    found = explain_image(model(name), PIXELS)
    assert found.predicted == found.explained
    assert found.confidence == found.probability >= 1 / 3
    path = plot_explanation(found, tmp_path / "a.png", name="a.png")
    assert (found.maps is None) == (name == "keras_mlp")
    height, width, _ = drawn(path).shape
    assert (height < 0.6 * width) == (name == "keras_mlp")


def test_slots_come_strongest_first_each_with_its_own_map() -> None:
    network = model(attention_blocks=2)
    found = explain_image(network, PIXELS, slots=5, layer=1).maps
    assert found is not None
    assert (found.block, found.blocks, found.units, found.has_slots) == (1, 2, 128, True)
    shares = [unit.share for unit in found.strongest]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    image = torch.from_numpy(PIXELS).permute(2, 0, 1)[None]
    with torch.inference_mode():
        maps = network.attention_maps(image, 0)
    head, slot = (int(word) - 1 for word in found.strongest[0].name[5:].split(", slot "))
    assert maps.shares[0].max() == maps.shares[0, head, slot] == shares[0]
    expected = maps.weights[0, head, slot].view(8, 8).numpy()
    np.testing.assert_allclose(found.strongest[0].weights, expected, rtol=1e-4)


def test_self_attention_has_heads_instead_of_slots() -> None:
    found = explain_image(model("vit"), PIXELS, slots=99).maps
    assert found is not None
    assert not found.has_slots
    assert {unit.name for unit in found.strongest} == {f"head {n}" for n in (1, 2, 3, 4)}
    assert sum(unit.share for unit in found.strongest) == pytest.approx(1, abs=1e-5)


def test_the_last_layer_with_attention_is_shown() -> None:
    found = explain_image(model(attention_blocks=1), PIXELS).maps
    assert found is not None
    assert found.block == 2


def test_another_class_is_explained_when_asked_for(tmp_path: Path) -> None:
    network = model()
    found = explain_image(network, PIXELS)
    others = [explain_image(network, PIXELS, class_name=name) for name in CLASSES]
    assert {other.predicted for other in others} == {found.predicted}
    assert [other.explained for other in others] == CLASSES
    assert sum(other.probability for other in others) == pytest.approx(1, abs=1e-5)
    same = others[CLASSES.index(found.predicted)]
    np.testing.assert_array_equal(same.regions.losses, found.regions.losses)
    for other in others:
        width = drawn(plot_explanation(other, tmp_path / "a.png", name="long" * 40)).shape[1]
        assert width < 1300  # no text reaches beyond the sheet


def test_a_square_that_costs_all_is_worth_a_hundred_points(tmp_path: Path) -> None:
    found = explain_image(model("keras_mlp"), PIXELS)
    losses = np.full_like(found.regions.losses, 0.999)
    found = replace(found, regions=replace(found.regions, losses=losses))
    with drawn_texts() as texts:
        plot_explanation(found, tmp_path / "a.png", name="a.png")
    assert "100 points" in texts


def test_a_class_that_is_a_number_may_be_given_as_one() -> None:
    name = "keras_mlp:num_transformer_blocks=1"
    network = eanet.create_model(name, classes=["3", "4"], image_size=16)
    assert explain_image(network, PIXELS, class_name=4).explained == "4"  # type: ignore[arg-type]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(WrongArgumentError, match="unknown class 'ants'; did you mean 'ant'"):
        explain_image(model(), PIXELS, class_name="ants")
    with pytest.raises(WrongArgumentError, match=r"^layer=1: eanet_nano .*; known: 2$"):
        explain_image(model(attention_blocks=1), PIXELS, layer=1)
    with pytest.raises(WrongArgumentError, match="known: none"):
        explain_image(model("keras_mlp"), PIXELS, layer=1)
    with pytest.raises(WrongArgumentError, match="slots=0: should be 1 or more"):
        explain_image(model(), PIXELS, slots=0)


def test_damaged_weights_are_told() -> None:
    network = model()
    torch.nn.init.constant_(network.head.weight, torch.nan)
    with pytest.raises(EanetError, match="infinite or NaN"):
        explain_image(network, PIXELS)
