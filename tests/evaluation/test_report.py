from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import eanet
from eanet.errors import EanetError
from eanet.evaluation.report import Report, best_epoch, write_report
from eanet.models import create_model, save_model

PICTURES = {"confusion.png", "samples.png"}


@pytest.fixture
def run(trained: eanet.TrainingResult, tmp_path: Path) -> Path:
    """A copy of the trained run, so that tests may write into it."""
    return Path(shutil.copytree(trained.path, tmp_path / "run"))


def check(report: Report, folder: Path, names: set[str], images: int, split: str = "test") -> None:
    """The files named are there, whole, and tell the same figures."""
    assert {file.name for file in report.files} == names | {"metrics.json"}
    assert {file.parent for file in report.files} == {folder}
    for name in names:
        with Image.open(folder / name) as picture:
            picture.load()
    written = json.loads((folder / "metrics.json").read_text())
    assert {key: written[key] for key in report.metrics} == report.metrics
    assert (written["data"], written["split"]) == ("photos", split)
    assert report.metrics["images"] == images


def test_a_run_is_reported_in_its_own_folder_with_the_figures_of_its_training(
    trained: eanet.TrainingResult, run: Path
) -> None:
    report = write_report(run)
    check(report, run, PICTURES | {"curves.png"}, images=6)
    assert report.metrics == trained.metrics
    assert report.metrics["label_smoothing"] == 0.1, "as the training's"


@pytest.mark.parametrize(("split", "images"), [("train", 27), ("validation", 3)])
def test_another_split_is_reported_beside_the_test(run: Path, split: str, images: int) -> None:
    before = (run / "metrics.json").read_bytes()
    report = write_report(run, split=split)  # type: ignore[arg-type]
    check(report, run / f"photos-{split}", PICTURES | {"curves.png"}, images, split)
    assert (run / "metrics.json").read_bytes() == before


def test_all_images_of_other_data_without_a_test_split_are_asked_about(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(photos, tmp_path / "other" / "photos")
    (other / "red" / "00.png").write_text("no image")
    report = write_report(run, data=other)
    check(report, run / "photos-all", PICTURES | {"curves.png"}, 35, "all")
    assert "00.png" in capsys.readouterr().err
    with pytest.raises(EanetError, match="photos has no test images; use --split train"):
        write_report(run, data=other, split="test")


def test_the_test_images_of_other_data_are_asked_about_where_it_has_some(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "photos"
    for split in ("train", "test"):
        shutil.copytree(photos, other / split)
    (other / "test" / "red" / "00.png").unlink()
    check(write_report(run, data=other), run / "photos-test", PICTURES | {"curves.png"}, 35)


def test_the_run_s_own_data_by_name_are_its_test_images(run: Path, photos: Path) -> None:
    check(write_report(run, data=photos), run, PICTURES | {"curves.png"}, 6)


def test_a_bare_file_needs_data_and_is_reported_beside_it(run: Path, photos: Path) -> None:
    alone = run.parent / "alone" / "model.safetensors"
    alone.parent.mkdir()
    shutil.copy(run / "model.safetensors", alone)
    with pytest.raises(EanetError, match="name the images by --data"):
        write_report(alone)
    report = write_report(alone, data=str(photos))
    check(report, alone.parent / "photos-all", PICTURES, 36, "all")
    assert report.metrics["label_smoothing"] == 0


def test_a_report_goes_where_it_is_told(run: Path, tmp_path: Path) -> None:
    check(
        write_report(run, output=str(tmp_path / "here")),
        tmp_path / "here",
        PICTURES | {"curves.png"},
        images=6,
    )


def test_images_that_are_not_there_are_one_line(run: Path, tmp_path: Path, photos: Path) -> None:
    with pytest.raises(EanetError, match=r"^unknown split 'tset'; did you mean 'test'\?"):
        write_report(run, split="tset")  # type: ignore[arg-type]
    with pytest.raises(EanetError, match="the data's 10 classes are not the model's 3"):
        write_report(run, data="digits")
    config = (run / "config.yaml").read_text()
    without = config.replace("validation_fraction: 0.1", "validation_fraction: 0")
    (run / "config.yaml").write_text(without)
    with pytest.raises(
        EanetError, match="photos has no validation images; use --split train or test"
    ):
        write_report(run, split="validation")


def test_classes_in_another_order_are_refused(tmp_path: Path, photos: Path) -> None:
    model = create_model("vit", classes=["red", "green", "blue"], image_size=16, depth=1)
    path = save_model(model, tmp_path)
    with pytest.raises(EanetError, match="their order differs"):
        write_report(path, data=photos)


def test_the_best_epoch_is_the_one_whose_weights_were_kept() -> None:
    def row(epoch: int, accuracy: float, loss: float) -> dict[str, float]:
        return {"epoch": epoch, "val_accuracy": accuracy, "val_loss": loss}

    assert best_epoch([row(1, 0.5, 1.0), row(2, 0.7, 2.0), row(3, 0.6, 0.1)]) == 2
    assert best_epoch([row(1, 0.7, 1.0), row(2, 0.7, 0.9), row(3, 0.7, 0.9)]) == 2
    assert best_epoch([{"epoch": 1, "train_loss": 1.0}]) is None
