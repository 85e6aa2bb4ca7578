"""Named models, and names that carry settings."""

from __future__ import annotations

import numpy as np
import pytest

from eanet import EanetError, create_model, load_model
from eanet.console import notice_once
from eanet.models.registry import models, parse_model_name


def test_a_name_carries_settings_of_the_architecture():
    model = create_model("eanet_tiny:mixing=none, depth=7,drop_path=0.1,conv=off")
    assert model.config.name == "eanet_tiny"
    settings = {"mixing": "none", "depth": 7, "drop_path": 0.1, "conv": False}
    assert model.config.settings == settings
    assert len(model.blocks) == 7


def test_a_setting_given_beside_the_name_wins():
    model = create_model("eanet_tiny:depth=7,dim=32", depth=2)
    assert model.config.settings == {"depth": 2, "dim": 32}


def test_none_unsets_where_that_can_be_and_is_a_word_elsewhere():
    assert parse_model_name("keras_vit:key_dim=none") == ("keras_vit", {"key_dim": None})
    assert parse_model_name("eanet_tiny:mixing=none") == ("eanet_tiny", {"mixing": "none"})


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("vit:mlp_dim=196", 361_668), ("keras_mlp:mlp_dim=326", 361_684)],
)
def test_names_of_published_results_are_still_the_same_networks(name, parameters):
    """As in docs/results.md and in the runs behind it."""
    assert create_model(name).num_parameters == parameters


@pytest.mark.parametrize("entry", models(), ids=lambda entry: entry.name)
def test_a_plain_name_carries_nothing(entry):
    assert parse_model_name(entry.name) == (entry.name, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eanet_tin:depth=3", r"^unknown model 'eanet_tin'; did you mean 'eanet_tiny'\?$"),
        ("eanet_tiny:dpth=3", r"^eanet_tiny: unknown setting 'dpth'; did you mean 'depth'\?$"),
        ("eanet_tiny:depth=x", r"^eanet_tiny: depth=x: should be a valid integer"),
        ("eanet_tiny:depth", r"^model eanet_tiny:depth: 'depth' is not SETTING=VALUE"),
        ("eanet_tiny:depth=", r"'depth=' is not SETTING=VALUE"),
        ("eanet_tiny:heads=0", r"^eanet_tiny: heads=0: should be greater than or equal to 1$"),
        ("keras_vit:key_dim=-1", r"^keras_vit: key_dim=-1: should be greater than or equal to 1$"),
        ("eanet_tiny:depth=1,depth=2", r"'depth=2' is not SETTING=VALUE, each once"),
    ],
)
def test_what_is_wrong_with_a_name_is_told_in_one_line(text, message):
    with pytest.raises(EanetError, match=message):
        create_model(text)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"pretrained": True},
            r"makes fresh weights; eanet\.load_model loads trained ones, ",
        ),
        ({"img_size": 64}, r"^eanet_tiny: unknown setting 'img_size'; here it is 'image_size'$"),
        (
            {"in_chans": 1},
            r"^eanet_tiny: unknown setting 'in_chans'; did you mean 'in_channels'",
        ),
        ({"drop_rate": 0.1}, r"^eanet_tiny: unknown setting 'drop_rate'; here it is 'dropout'$"),
        ({"num_classes": "2"}, r"^num_classes='2': should be a whole number$"),
        ({"in_channels": 1.5}, r"^in_channels=1\.5: should be a whole number$"),
        ({"classes": {0: "ant", 1: "bee"}}, r"^classes: a list of names .*, not a dict$"),
        ({"normalization": (0.5, 0.5)}, r"^normalization needs 3 means and 3 standard deviations$"),
        ({"normalization": "imagenet"}, r"^normalization needs 3 means and 3 standard deviations$"),
        ({"classes": {"ant", "bee"}}, r"^classes: a list of names .*, not a set$"),
    ],
)
def test_what_other_libraries_take_is_told_in_one_line(keywords, message):
    with pytest.raises(EanetError, match=message):
        create_model("eanet_tiny", **keywords)


def test_a_trained_model_is_not_mistaken_for_an_architecture():
    with pytest.raises(EanetError, match=r"a trained model, .*load_model\('eanet_tiny_64'\)"):
        create_model("eanet_tiny_64")
    with pytest.raises(EanetError, match="by its name, not by NoneType"):
        create_model(None)


def test_an_unknown_change_of_a_trained_model_is_told_in_one_line():
    with pytest.raises(EanetError, match=r"unknown option 'img_size'; here it is 'image_size'$"):
        load_model("eanet_tiny_64", img_size=32)
    with pytest.raises(EanetError, match=r"unknown option 'device'; known: classes, drop_path, "):
        load_model("eanet_tiny_64", device="cpu")


def test_a_normalization_of_images_from_0_to_1_is_told(capsys):
    notice_once.cache_clear()
    imagenet = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    create_model("vit", normalization=255 * imagenet)
    assert not capsys.readouterr().err
    create_model("vit", normalization=imagenet)
    assert "multiply those of images from 0 to 1 by 255" in capsys.readouterr().err
