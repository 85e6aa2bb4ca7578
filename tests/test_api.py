from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import eanet


@pytest.mark.parametrize("name", eanet.__all__)
def test_every_public_name_leads_somewhere_and_is_documented(name: str) -> None:
    assert getattr(eanet, name).__doc__
    assert name in dir(eanet)


def test_the_public_names_are_the_ones_with_a_home() -> None:
    assert sorted(eanet.__all__) == eanet.__all__ == sorted(eanet._HOMES)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'eanet' has no attribute 'tarin'"):
        _ = eanet.tarin


def test_a_training_leaves_a_whole_run_and_tells_its_figures(
    trained: eanet.TrainingResult,
) -> None:
    assert {file.name for file in trained.path.iterdir()} == {
        "config.yaml",
        "history.csv",
        "model.safetensors",
        "config.json",
        "last.ckpt",
        "images.npy",
        "curves.png",
        "confusion.png",
        "coverage.png",
        "reliability.png",
        "samples.png",
        "metrics.json",
        "classes.csv",
        "predictions.csv",
        "report.html",
    }
    written = json.loads((trained.path / "metrics.json").read_text())
    assert trained.metrics["top1"] == written["top1"] > 0.9
    assert list(trained.history["epoch"]) == [1, 2]
    with (trained.path / "history.csv").open() as file:
        assert list(trained.history) == next(csv.reader(file))
    assert list(trained.history["val_accuracy"])[-1] > 0.5


def test_a_finished_run_is_evaluated_again_to_the_same_figures(
    trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    run = shutil.copytree(trained.path, tmp_path / "run")
    result = eanet.resume(str(run))
    assert (result.path, result.metrics, result.epochs) == (run, trained.metrics, trained.epochs)


def test_a_misspelt_setting_is_answered_with_the_nearest(trained: eanet.TrainingResult) -> None:
    with pytest.raises(eanet.EanetError, match=r"unknown setting 'epoch'; did you mean 'epochs'\?"):
        eanet.train(epoch=3)
    with pytest.raises(eanet.EanetError, match=r"'thread'; did you mean 'threads'\?"):
        eanet.resume(trained.path, thread=1)


def test_images_for_a_loop_of_one_s_own_have_the_size_that_suits_them(tmp_path: Path) -> None:
    for number in range(8):
        place = tmp_path / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        Image.new("L", (30, 20), 20 * number).save(place / f"{number}.png")
    for settings, side in (({}, 20), ({"fit": "pad"}, 32), ({"image_size": 8}, 8)):
        assert eanet.load_dataset(tmp_path, **settings).train.image_size == side, settings


def test_a_resumed_run_keeps_its_own_settings(trained: eanet.TrainingResult) -> None:
    with pytest.raises(
        eanet.EanetError, match="a resumed run keeps its own settings; leave out seed"
    ):
        eanet.resume(trained.path, seed=9)


@pytest.mark.parametrize(
    "use",
    [
        eanet.load,
        eanet.load_model,
        eanet.evaluate,
        eanet.export,
        eanet.resume,
        eanet.serve,
        lambda model: eanet.explain(model, "some.jpg"),
        lambda model: eanet.embed(model, "some.jpg"),
    ],
)
def test_a_network_in_memory_is_told_how_it_gets_a_path(use: Callable[[Any], Any]) -> None:
    model = eanet.create_model("keras_mlp:num_transformer_blocks=1", image_size=8)
    with pytest.raises(eanet.EanetError, match=r"not by Classifier; eanet\.save_model\(model, F"):
        use(model)
