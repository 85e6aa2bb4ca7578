"""What a run leaves behind, and that nothing of it is lost."""

from __future__ import annotations

import resource
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
import yaml

from eanet import EanetError
from eanet.config import ResolvedSettings, TrainSettings
from eanet.data.imageset import ImageSet
from eanet.data.splits import Dataset
from eanet.training.run_directory import CHECKPOINT, SETTINGS, RunDirectory


def dataset(grey: int = 0) -> Dataset:
    images = ImageSet(np.full((4, 2, 2, 3), grey, np.uint8), np.array([0, 1, 0, 1]), ("a", "ß"))
    return Dataset("greys", images, None, images.subset([0]))


def resolved(**given: object) -> ResolvedSettings:
    made = {"model": "vit", "recipe": "own.yaml", "image_size": 8, "batch_size": 4, "flip": False}
    return ResolvedSettings.parse({"learning_rate": 1e-3, **made, **given})


def test_a_second_run_gets_a_number_and_the_first_is_left_alone(tmp_path):
    settings = resolved(output=tmp_path / "deep", name="x")
    paths = [RunDirectory.create(settings, "digits").path.name for _ in range(3)]
    assert paths == ["x", "x-2", "x-3"]


def test_the_name_follows_data_and_model(tmp_path):
    for data in ("digits", "photos"):
        run = RunDirectory.create(resolved(output=tmp_path), data)
        assert run.path.name == f"{data}-vit"


def test_settings_of_the_model_stand_in_the_name(tmp_path):
    settings = resolved(output=tmp_path, model="vit:depth=2,heads=4")
    assert RunDirectory.create(settings, "digits").path.name == "digits-vit-depth=2-heads=4"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(EanetError, match="cannot make"):
        RunDirectory.create(resolved(output=tmp_path / "runs"), "digits")


def test_settings_come_back_as_given_and_as_resolved(tmp_path):
    run = RunDirectory(tmp_path)
    settings = TrainSettings.resolve(data="photos", epochs=3, data_dir="/somewhere", ema=0.9)
    chosen = resolved(**settings.given(), batch_size=16, device="cpu")
    run.write_settings(settings, chosen, dataset())
    assert run.read_settings() == (settings, chosen)
    content = yaml.safe_load((tmp_path / SETTINGS).read_text("utf-8"))
    names = {"model", "recipe", "image_size", "flip", "batch_size", "device"}
    assert content["resolved"] == {name: getattr(chosen, name) for name in names}
    assert content["data"]["classes"] == ["a", "ß"]
    assert content["data"]["images"] == {"train": 4, "test": 1}
    environment = content["environment"]
    assert environment["torch"] == torch.__version__
    assert environment["processor"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(environment["date"])).seconds) < 60


def test_other_images_are_noticed(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_settings(TrainSettings(), resolved(), dataset())
    run.check_data(dataset())
    with pytest.raises(
        EanetError, match=f"no longer those that {tmp_path} was trained on; start a new run"
    ):
        run.check_data(dataset(grey=1))


def test_history_is_appended_and_cut_back(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.read_history() == []
    rows = [{"epoch": float(i), "train_loss": 1 / i} for i in (1, 2, 3)]
    for row in rows:
        run.append_history(row)
    assert run.read_history() == rows
    run.rewrite_history(rows[:1])
    assert run.read_history() == rows[:1]
    run.append_history(rows[1])
    assert run.read_history() == rows[:2]


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.read_checkpoint() is None
    run.write_checkpoint({"epoch": 1, "model": {"w": torch.ones(2)}})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as a full disk: not all fits
    try:
        with pytest.raises(EanetError, match=r"cannot write .*last.ckpt: File too large"):
            run.write_checkpoint({"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert run.read_checkpoint()["epoch"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(EanetError, match="damaged"):
        RunDirectory(tmp_path).read_checkpoint()


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(EanetError, match="not a run directory"):
        RunDirectory.open(tmp_path)
