"""What a run is made of before it begins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eanet.config import TrainSettings
from eanet.data.imageset import ImageSet
from eanet.data.splits import Dataset
from eanet.errors import EanetError
from eanet.models import create_model, save_model
from eanet.models.operations import multiply_adds
from eanet.models.registry import parse_model_name
from eanet.training.engine import training_operations
from eanet.training.launch import launch
from eanet.training.prepare import initial_model, open_inputs
from eanet.training.pretrained import Pretrained
from eanet.training.teacher import Teacher
from eanet.training.updates import check_shares
from tests.support.settings import resolved

MODEL = "eanet_nano:dim=16,depth=1"
IMAGES = ImageSet(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"))
DATASET = Dataset("greys", IMAGES, None, IMAGES)


def test_a_models_name_says_more_than_the_recipe() -> None:
    settings = resolved(model=f"{MODEL},dropout=0.3", dropout=0.1, drop_path=0.2)
    assert initial_model(settings, DATASET, None).config.settings == {
        **parse_model_name(MODEL)[1],
        "dropout": 0.3,
        "drop_path": 0.2,
    }


def test_models_are_found_from_home_and_an_empty_name_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save_model(create_model(MODEL), tmp_path)
    settings = open_inputs(TrainSettings(teacher="~", init="~/model.safetensors")).settings
    assert settings.teacher == str(tmp_path)
    assert settings.init == str(tmp_path / "model.safetensors")
    with pytest.raises(EanetError, match="the name of the model is empty"):
        open_inputs(TrainSettings(teacher=""))


def test_an_output_that_cannot_be_written_is_refused_before_the_images_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    settings = TrainSettings.with_recipe(data="nowhere", output=tmp_path / "file" / "runs")
    with pytest.raises(EanetError, match=r"cannot write to .*file/runs"):
        launch(settings)


def test_batches_that_processes_cannot_share_are_refused() -> None:
    check_shares(6, SimpleNamespace(world_size=3))
    with pytest.raises(EanetError, match="3 processes cannot share batches of 8 images"):
        check_shares(8, SimpleNamespace(world_size=3))


def test_the_work_of_a_teacher_counts_where_compiling_is_decided(tmp_path: Path) -> None:
    model = create_model(MODEL, classes=("a", "b"), image_size=8)
    large = create_model("eanet_tiny", classes=("a", "b"), image_size=8)
    trained = Pretrained.load(save_model(large, tmp_path))
    taught = training_operations(model, 10, Teacher(trained, ("a", "b")))
    assert taught == training_operations(model, 10) + 20 * multiply_adds(large)
