"""What a run leaves behind, and that nothing of it is lost."""

from __future__ import annotations

import resource
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
import yaml

from eanet import EanetError
from eanet.config import RUN_CONFIG, TrainSettings
from eanet.data.imageset import ImageSet
from eanet.data.splits import Dataset
from eanet.training.run_config import DataRecord, Environment, ModelRecord, RunConfig
from eanet.training.run_directory import CHECKPOINT, RunDirectory
from tests.support.settings import resolved


def dataset(grey: int = 0) -> Dataset:
    images = ImageSet(np.full((4, 2, 2, 3), grey, np.uint8), np.array([0, 1, 0, 1]), ("a", "ß"))
    return Dataset("greys", images, None, images.subset([0]))


def config(
    settings: TrainSettings | None = None, images: Dataset | None = None, **given: object
) -> RunConfig:
    return RunConfig(
        settings=settings or TrainSettings(),
        resolved=resolved(**given),
        data=DataRecord.of(images or dataset()),
        environment=Environment.here("cpu"),
    )


def test_a_second_run_gets_a_number_and_the_first_is_left_alone(tmp_path):
    paths = [RunDirectory.create(tmp_path / "deep", "x").path.name for _ in range(3)]
    assert paths == ["x", "x-2", "x-3"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(EanetError, match="cannot make"):
        RunDirectory.create(tmp_path / "runs", "x")


def test_the_configuration_comes_back_and_holds_only_the_choices_that_were_made(tmp_path):
    run = RunDirectory(tmp_path)
    settings = TrainSettings.with_recipe(data="photos", epochs=3, data_dir="/somewhere", ema=0.9)
    model = ModelRecord(sha256="ab" * 32)
    written = config(settings, **settings.given()).model_copy(update={"teacher": model})
    run.write_config(written)
    assert run.read_config() == written
    content = yaml.safe_load((tmp_path / RUN_CONFIG).read_text("utf-8"))
    names = {"model", "recipe", "image_size", "fit", "name", "flip", "batch_size"}
    names |= {"device", "precision", "compile", "threads"}
    assert content["resolved"] == {name: getattr(written.resolved, name) for name in names}
    assert content["settings"] == settings.model_dump(mode="json")
    assert content["data"]["classes"] == ["a", "ß"]
    assert content["data"]["images"] == {"train": 4, "test": 1}
    assert content["teacher"] == {"sha256": "ab" * 32}
    assert "init" not in content
    environment = content["environment"]
    assert environment["torch"] == torch.__version__
    assert environment["processor"]
    assert environment["kernels"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(environment["date"])).seconds) < 60


def test_the_configuration_of_an_earlier_version_is_read(tmp_path):
    """It left the name open, may say less, and says more than is known here."""
    run = RunDirectory(tmp_path / "digits-vit")
    run.path.mkdir()
    run.write_config(config())
    file = run.path / RUN_CONFIG
    content = yaml.safe_load(file.read_text("utf-8"))
    del content["environment"], content["data"]["images"], content["resolved"]["name"]
    content["data"]["colours"] = 3
    file.write_text(yaml.safe_dump(content), "utf-8")
    found = run.read_config()
    assert found.resolved == resolved(name="digits-vit")
    assert (found.data.images, found.environment) == ({}, Environment())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"name": "x"}}, "was not written by eanet, or has been changed"),
        ({"settings": "none"}, "was not written by eanet, or has been changed"),
        ({"settings": {"epochs": -1}}, "config.yaml: epochs=-1: should be greater than"),
        ({"settings": {"epoch": 1}}, "config.yaml: unknown setting 'epoch'"),
    ],
)
def test_a_changed_configuration_is_refused_in_one_line(tmp_path, change, message):
    run = RunDirectory(tmp_path)
    run.write_config(config())
    content = yaml.safe_load((tmp_path / RUN_CONFIG).read_text("utf-8"))
    (tmp_path / RUN_CONFIG).write_text(yaml.safe_dump(content | change), "utf-8")
    with pytest.raises(EanetError, match=message) as error:
        run.read_config()
    assert "\n" not in str(error.value)


def test_other_images_are_noticed(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_config(config())
    run.check_data(dataset())
    with pytest.raises(
        EanetError, match=f"no longer those that {tmp_path} was trained on; start a new run"
    ):
        run.check_data(dataset(grey=1))


def test_history_is_replaced_and_cut_back(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.read_history() == []
    rows = [{"epoch": float(i), "train_loss": 1 / i} for i in (1, 2, 3)]
    run.write_history(rows)
    assert run.read_history() == rows
    run.write_history(rows[:1])
    assert run.read_history() == rows[:1]
    run.write_history([])
    assert run.read_history() == []


def test_a_history_is_whole_while_it_is_written(tmp_path):
    run = RunDirectory(tmp_path)
    rows = [{"epoch": float(i), "train_loss": 1 / i} for i in range(1, 2000)]
    run.write_history(rows[:1])
    read = []
    writing = threading.Thread(target=lambda: [run.write_history(rows) for _ in range(20)])
    writing.start()
    while writing.is_alive():
        read.append(len(run.read_history()))
    writing.join()
    assert set(read) <= {1, len(rows)}


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
