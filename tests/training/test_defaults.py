"""What is chosen for those who did not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from eanet import create_model
from eanet.config import TrainSettings, recipes
from eanet.data.registry import Default
from eanet.data.source import open_source
from eanet.data.statistics import ImageStatistics
from eanet.model_files.find import bundled_models
from eanet.training.defaults import PRETRAINED, fill, for_own_images, recommend
from eanet.training.messages import show_defaults


def values(images: ImageStatistics, device: str = "cpu") -> dict[str, str | int]:
    return {default.setting: default.value for default in for_own_images(images, device)}


def filled(
    settings: TrainSettings, device: str = "cpu"
) -> tuple[TrainSettings, tuple[Default, ...]]:
    """The settings with what is recommended for their data, and the recommendations."""
    source = open_source(settings.data)
    defaults = recommend(settings, source.defaults or source.statistics(), device)
    return fill(settings, defaults), defaults


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_data_set_with_a_name_has_choices_that_do_not_depend_on_the_machine(device: str) -> None:
    settings, defaults = filled(TrainSettings(data="digits"), device)
    assert defaults == open_source("digits").defaults
    assert (settings.model, settings.recipe) == ("keras_eanet", "default")


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
@pytest.mark.parametrize("side", [0, 5, 28, 47, 48, 375])
@pytest.mark.parametrize("images", [4, 245, 20_000, 1_000_000])
def test_what_is_chosen_fits_together_and_is_reasoned(images: int, side: int, device: str) -> None:
    statistics = ImageStatistics(images=images, classes=2, side=side)
    chosen = values(statistics, device)
    assert chosen["recipe"] in recipes()
    create_model(str(chosen["model"]), num_classes=2, image_size=int(chosen["image_size"]))
    assert TrainSettings.with_recipe(**chosen)
    assert all(len(default.reason) > 10 for default in for_own_images(statistics, device))


def test_the_fewer_photographs_the_more_epochs() -> None:
    def epochs(images: int) -> int:
        statistics = ImageStatistics(images, 2, 375)
        defaults = for_own_images(statistics, "cpu", from_scratch=True)
        return int({default.setting: default.value for default in defaults}["epochs"])

    assert [epochs(n) for n in (10, 245, 1000, 5000, 10**6)] == [300, 300, 150, 70, 30]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_few_photographs_begin_with_trained_weights(device: str) -> None:
    chosen = values(ImageStatistics(5000, 2, 375), device)
    assert (chosen["init"], chosen["model"]) == (PRETRAINED, "eanet_tiny")
    assert chosen["recipe"] == "finetune"
    assert PRETRAINED in bundled_models()
    assert "init" not in values(ImageStatistics(5001, 2, 375), device)
    assert "init" not in values(ImageStatistics(500, 2, 30), device)


@pytest.mark.parametrize(
    ("given", "recipe"),
    [
        ({}, "finetune"),
        ({"init": "eanet_tiny_cifar100"}, "finetune"),
        ({"init": "none"}, "photos"),
        ({"model": "vit"}, "photos"),
        ({"recipe": "finetune"}, "finetune"),
        ({"recipe": "default"}, "default"),
    ],
)
def test_another_model_or_no_weights_mean_training_from_scratch(
    tmp_path: Path, given: dict[str, str], recipe: str, capsys
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (90, 60)).save(tmp_path / name / "1.png")
    settings, defaults = filled(TrainSettings.with_recipe(data=str(tmp_path), **given))
    assert settings.recipe == recipe
    assert (settings.init is not None) == (recipe == "finetune")
    assert all(getattr(settings, setting) == value for setting, value, _ in defaults)
    show_defaults(defaults)
    said = "as you named a model or recipe; otherwise pretrained weights"
    assert (said in capsys.readouterr().err) == (settings.init is None and "init" not in given)


def test_small_images_are_not_blown_up_nor_taken_for_photographs() -> None:
    small = values(ImageStatistics(images=500, classes=10, side=30))
    assert (small["image_size"], small["recipe"]) == (32, "default")
    assert small["flip"] is False, "b and d, p and q"


def test_what_was_given_wins_and_is_not_commented_on(photos: Path, capsys) -> None:
    settings, defaults = filled(TrainSettings.with_recipe(data=str(photos), model="vit", epochs=3))
    assert (settings.model, settings.epochs) == ("vit", 3)
    assert (settings.image_size, settings.recipe) == (16, "default")
    assert settings.rotation == 0.03  # the recipe's
    show_defaults(defaults)
    told = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[1] for line in told[1:]] == ["image size", "recipe", "flip"]
    assert told[1] == "  image size  16       about as large as the images"
    assert filled(settings) == (settings, ())
    show_defaults([])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("limit", [{"minutes": 2}, {"recipe": "photos"}, {"epochs": 9}])
def test_epochs_are_chosen_where_nothing_else_says_when_to_stop(
    tmp_path: Path, limit: dict[str, object]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (90, 60)).save(tmp_path / name / "1.png")
    settings, defaults = filled(TrainSettings.with_recipe(data=str(tmp_path), init="none", **limit))
    assert settings.init is None
    assert "epochs" not in {default.setting for default in defaults}
    assert settings.recipe == "photos"
    assert settings.cutmix == 1.0
    assert settings.minutes == limit.get("minutes")
    assert settings.epochs == limit.get("epochs", 300)
    assert settings.image_size == 64


def test_an_unset_setting_is_chosen_and_what_else_is_unset_stays_so() -> None:
    settings, _ = filled(TrainSettings.with_recipe(data="digits", model="none", clip_norm="none"))
    assert settings.model == "keras_eanet"
    assert settings.clip_norm is None
