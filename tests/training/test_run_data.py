"""What a run knows of its images after it has ended: where they are, and more epochs on them."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eanet
from eanet import EanetError, device
from eanet.data.source import open_source
from eanet.report.files import read_metrics
from eanet.training.run_directory import IMAGES, START_IMAGES, RunDirectory

pytestmark = pytest.mark.usefixtures("undrawn")

QUICK = {"image_size": 16, "epochs": 1, "compile": "off", "precision": "fp32", "threads": 1}


@pytest.fixture
def run(trained: eanet.TrainingResult, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.path, tmp_path / "run"))


def judged_on(run: RunDirectory) -> set[str]:
    """The names of the images that a run was tested on."""
    config = run.read_config()
    dataset = open_source(config.resolved.data).load(
        config.resolved, classes=config.data.classes, start=run.read_start_images()
    )
    run.check_data(dataset)
    return {file.parent.name + file.name for file in dataset.test.files}


def test_a_run_goes_on_with_images_that_have_moved(
    run: Path, photos: Path, tmp_path: Path, trained: eanet.TrainingResult
) -> None:
    config = RunDirectory.open(run).read_config()
    gone = config.model_copy(
        update={
            name: getattr(config, name).model_copy(update={"data": "/gone/photos"})
            for name in ("settings", "resolved")
        }
    )
    RunDirectory.open(run).write_config(gone)
    with pytest.raises(EanetError, match=r"/gone/photos; .* eanet train --resume \S+ NEWPLACE"):
        eanet.resume(run)
    with pytest.raises(EanetError, match=r"/gone/photos; .* name their place with --data"):
        eanet.evaluate(run)
    spaced = shutil.copytree(run, tmp_path / "my run")
    for call in (eanet.resume, partial(eanet.explain, images=photos, neighbours=1)):
        with pytest.raises(EanetError, match=r"eanet train --resume '/\S*/my run' NEWPLACE"):
            call(spaced)
    moved = Path(shutil.copytree(photos, tmp_path / "moved"))
    result = eanet.resume(run, data=moved)
    assert result.metrics == trained.metrics
    assert RunDirectory.open(run).read_config().resolved.data == str(moved)
    assert eanet.resume(run).metrics == trained.metrics
    (moved / "red" / "00.png").unlink()
    shutil.copy(photos / "red" / "01.png", moved / "red" / "more.png")
    Image.new("RGB", (16, 16)).save(moved / "red" / "new.png")
    with pytest.raises(EanetError, match=r"holds 36 of the 36 images of \S+ and 1 others, or"):
        eanet.resume(run, data=moved)


def test_a_run_does_not_go_on_with_images_of_other_classes(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(photos, tmp_path / "moved"))
    (moved / "red" / "00.png").rename(moved / "green" / "red00.png")
    with pytest.raises(EanetError, match=r"holds the 36 images of \S+, but some are of another"):
        eanet.resume(run, data=moved)
    (moved / "green").rename(moved / "grey")
    with pytest.raises(EanetError, match=r"know the class 'grey' .*, start a new run, with --init"):
        eanet.resume(run, data=moved)


def test_what_was_set_after_a_training_is_kept_or_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    eanet.evaluate(run, views=5, false_rejections=0.5)
    for usual in (0.25, 0.05):  # which the validation images are enough for, and not
        monkeypatch.setattr("eanet.report.evaluate.FALSE_REJECTIONS", usual)
        eanet.resume(run)  # finished: nothing but a report
        assert "will answer whatever" not in capsys.readouterr().err
    model = eanet.load_model(run)
    assert model.views == 5
    assert model.detector is not None
    assert model.detector.fit.false_rejections == 0.5
    eanet.evaluate(run, calibrate=True)
    eanet.resume(run, epochs=3)
    told = capsys.readouterr().err
    assert "give --calibrate, --false-rejections, --views again in the end" in told


def test_figures_do_not_outlive_the_weights_that_they_are_of(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    state = RunDirectory.open(run).read_checkpoint()
    for best, is_kept in ((2.0, True), (-1.0, False)):  # no epoch is better, then any is
        state["progress"]["best_accuracy"] = best
        RunDirectory.open(run).write_checkpoint(state)
        with monkeypatch.context() as patch:
            patch.setattr("eanet.report.evaluate.evaluate_trained", stop)
            with pytest.raises(KeyboardInterrupt):
                eanet.resume(run, epochs=3)
        assert (read_metrics(run) is not None) == is_kept
    assert eanet.resume(run).metrics["images"] == read_metrics(run)["images"]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_run_whose_weights_are_lost_keeps_those_of_a_later_epoch(
    run: Path, is_damaged: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    state = RunDirectory.open(run).read_checkpoint()
    state["progress"]["best_accuracy"] = 2.0  # no epoch is better
    RunDirectory.open(run).write_checkpoint(state)
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    if is_damaged:
        (run / "model.safetensors").write_bytes(weights[:-8])
    with pytest.raises(EanetError, match=r"model\.safetensors"):
        eanet.resume(run)
    assert eanet.resume(run, epochs=3).metrics["images"] == 6
    assert "has lost model.safetensors, the weights of epoch" in capsys.readouterr().err
    assert RunDirectory.open(run).read_checkpoint()["progress"]["best_epoch"] == 3


def test_a_finished_run_trains_for_longer(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = RunDirectory.open(run).read_history()
    result = eanet.resume(run, epochs=4)
    told = capsys.readouterr().err
    assert "again in the end" not in told
    assert "epochs 3 to 4: the learning rate goes on as in a run of 4 epochs, from " in told
    assert [row["epoch"] for row in result.epochs] == [1, 2, 3, 4]
    assert result.epochs[:2] == first
    rates = [row["learning_rate"] for row in result.epochs]
    assert rates[2] > rates[3] == pytest.approx(0, abs=1e-9)
    config = RunDirectory.open(run).read_config()
    assert config.resolved.epochs == config.settings.epochs == 4
    with pytest.raises(EanetError, match="has trained for 4 epochs already; --epochs takes more"):
        eanet.resume(run, epochs=4)


def test_a_run_that_stopped_early_has_its_patience_again(tmp_path: Path, photos: Path) -> None:
    run = eanet.train(photos, output=tmp_path, patience=1, **QUICK).path
    state = RunDirectory.open(run).read_checkpoint()
    state["progress"]["best_accuracy"] = 2.0  # no epoch is better
    RunDirectory.open(run).write_checkpoint(state)
    assert len(eanet.resume(run, epochs=9).epochs) == 2, "one more epoch, and not eight"


def test_what_cannot_train_for_longer_says_what_to_do(run: Path) -> None:
    directory = RunDirectory.open(run)
    config = directory.read_config()
    (run / "last.ckpt").unlink()
    with pytest.raises(EanetError, match=r"has no last\.ckpt to go on from: begin a new run with"):
        eanet.resume(run, epochs=9)
    resolved = config.resolved.model_copy(update={"minutes": 1.0})
    directory.write_config(config.model_copy(update={"resolved": resolved}))
    with pytest.raises(EanetError, match="limited by minutes, not epochs: to train on, begin a"):
        eanet.resume(run, epochs=9)


def test_a_run_that_cannot_train_for_longer_is_as_it_was(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content() -> list[bytes]:
        return [(run / name).read_bytes() for name in ("config.yaml", "last.ckpt", "history.csv")]

    monkeypatch.setattr(device, "has_compiler", lambda _: False)
    before = content()
    with pytest.raises(EanetError, match="--compile on needs"):
        eanet.resume(run, epochs=4, compile="on")
    assert content() == before
    state = RunDirectory.open(run).read_checkpoint()
    for progress in ({}, {"progress": {"epoch": "x"}}):
        RunDirectory.open(run).write_checkpoint({"model": state["model"], **progress})
        before = content()
        with pytest.raises(EanetError, match="was begun by another version of eanet: start a new"):
            eanet.resume(run, epochs=4)
        assert content() == before


def test_a_grown_folder_keeps_its_test_images_and_a_new_class_its_own(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = Path(shutil.copytree(photos, tmp_path / "grown"))
    random = np.random.default_rng(1)
    for name in ("red", "grey"):
        (grown / name).mkdir(exist_ok=True)
        for number in range(10):
            pixels = random.integers(90, 160, (16, 16, 1), dtype=np.uint8).repeat(3, axis=2)
            Image.fromarray(pixels).save(grown / name / f"new{number}.png")
    before = judged_on(RunDirectory.open(run))
    result = eanet.train(grown, init=run, output=tmp_path / "runs", **QUICK)
    told = capsys.readouterr().err
    assert "with its head for blue, green, red and a new one for grey" in told
    assert "of the images new to the model to begin with (4) set aside for testing" in told
    again = RunDirectory.open(result.path)
    assert (again.path / IMAGES).is_file()
    assert (again.path / START_IMAGES).is_file()
    after = judged_on(again)
    assert before < after
    assert len(after) == len(before) + 4
    assert all("new" in name for name in after - before)
    assert eanet.resume(again.path).metrics == result.metrics, "the same split"
    moved = grown.rename(tmp_path / "elsewhere")
    assert eanet.evaluate(again.path, data=moved).metrics["images"] == len(after)
