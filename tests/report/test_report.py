from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import eanet
from eanet.cli import main
from eanet.config import RUN_CONFIG
from eanet.data.source import open_source
from eanet.errors import EanetError
from eanet.metrics.calibration import fit_temperature
from eanet.metrics.evaluation import evaluate_model
from eanet.models import create_model, load_model, save_model
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.report.evaluate import evaluate, evaluate_trained
from eanet.report.report import Report, Training
from eanet.report.selection import model_images
from eanet.training.run_directory import RunDirectory
from tests.support.reports import Reader

PICTURES = {"confusion.png", "reliability.png", "coverage.png", "samples.png"}
TABLES = {"metrics.json", "classes.csv", "predictions.csv"}


@pytest.fixture
def run(trained: eanet.TrainingResult, tmp_path: Path) -> Path:
    """A copy of the trained run, so that tests may write into it."""
    return Path(shutil.copytree(trained.path, tmp_path / "run"))


def unseen(photos: Path, folder: Path) -> Path:
    """Images of the same classes, none of which is a file of ``photos``."""
    for file in sorted(photos.rglob("*.png")):
        target = folder / file.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            image.putpixel((0, 0), (1, 2, 3))
            image.save(target)
    return folder


def check(report: Report, folder: Path, names: set[str], images: int, split: str = "test") -> None:
    """The files named are there, whole, and tell the same figures."""
    assert {file.name for file in report.files} == names | TABLES | {"report.html"}
    assert report.files[-1] == folder / "report.html"
    assert {file.parent for file in report.files} == {folder}
    for name in names:
        with Image.open(folder / name) as picture:
            picture.load()
    assert len((folder / "predictions.csv").read_text("utf-8").splitlines()) == 1 + images
    assert f"{report.metrics['top1']:.2%}" in Reader((folder / "report.html").read_text()).text
    written = json.loads((folder / "metrics.json").read_text())
    assert {key: written[key] for key in report.metrics} == report.metrics
    assert (written["data"], written["split"]) == ("photos", split)
    assert report.metrics["images"] == images


def test_a_run_is_reported_in_its_own_folder_with_the_figures_of_its_training(
    trained: eanet.TrainingResult, run: Path
) -> None:
    report = evaluate(run)
    check(report, run, PICTURES | {"curves.png"}, images=6)
    assert report.metrics == trained.metrics
    assert report.metrics["label_smoothing"] == 0.1, "as the training's"


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_stopped_is_said_to_be_unfinished(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(run)
    assert "not finished" not in capsys.readouterr().err
    history = run / "history.csv"
    *rows, _ = history.read_text().splitlines(keepends=True)
    history.write_text("".join(rows))
    evaluate(run)
    said = f"{run} is not finished; resume with: eanet train --resume {run}"
    assert said in capsys.readouterr().err
    model_images(run, eanet.load_model(run))  # for an export
    assert said in capsys.readouterr().err
    assert main(["models", str(run)]) == 0
    described = capsys.readouterr().out
    assert "27 images of photos" in described
    assert "1 of 2, not finished" in described


@pytest.mark.parametrize(("split", "images"), [("train", 27), ("validation", 3)])
def test_another_split_is_reported_beside_the_test(run: Path, split: str, images: int) -> None:
    before = (run / "metrics.json").read_bytes()
    report = evaluate(run, split=split)  # type: ignore[arg-type]
    check(report, run / f"photos-{split}", PICTURES | {"curves.png"}, images, split)
    assert (run / "metrics.json").read_bytes() == before


@pytest.mark.usefixtures("undrawn")
def test_all_images_of_other_data_without_a_test_split_are_asked_about(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = unseen(photos, tmp_path / "other" / "photos")
    (other / "red" / "00.png").write_text("no image")
    report = evaluate(run, data=other)
    check(report, run / "photos-all", PICTURES | {"curves.png"}, 35, "all")
    assert "00.png" in capsys.readouterr().err
    assert str(other / "red" / "01.png") in (run / "photos-all" / "predictions.csv").read_text()
    with pytest.raises(EanetError, match="photos has no test images; use --split train"):
        evaluate(run, data=other, split="test")


@pytest.mark.usefixtures("undrawn")
def test_a_run_whose_images_have_changed_is_not_judged_by_those_it_has_seen(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(photos, tmp_path / "own")
    settings = {"image_size": 16, "epochs": 1, "compile": "off", "threads": 1}
    result = eanet.train(own, output=tmp_path / "runs", **settings)
    unseen(photos / "red", own / "owl")  # a class that it does not know
    before = result.metrics["top1"]
    assert evaluate(result.path).metrics["top1"] == before, "its own test images, and none else"
    shutil.copy(own / "red" / "00.png", own / "red" / "more.png")
    shutil.rmtree(own / "owl")
    (result.path / "images.npy").unlink()
    before = (result.path / "metrics.json").read_bytes()
    with pytest.raises(
        EanetError, match=r"no longer those that .*; use --data to name images it has not seen"
    ):
        evaluate(result.path)
    assert (result.path / "metrics.json").read_bytes() == before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("split", ["test", "validation"])
def test_images_of_other_data_that_are_not_for_training_are_asked_about(
    run: Path, photos: Path, tmp_path: Path, split: str
) -> None:
    other = tmp_path / "other" / "photos"
    for folder in ("train", split):
        unseen(photos, other / folder)
    (other / split / "red" / "00.png").unlink()
    report = evaluate(run, data=other)
    check(report, run / f"photos-{split}", PICTURES | {"curves.png"}, 35, split)


@pytest.mark.usefixtures("undrawn")
def test_a_run_of_another_machine_is_reported_on_what_there_is(run: Path) -> None:
    config = yaml.safe_load((run / RUN_CONFIG).read_text("utf-8"))
    config["settings"]["device"] = "cuda"
    (run / RUN_CONFIG).write_text(yaml.safe_dump(config), "utf-8")
    for calibrate in (False, True):
        assert evaluate(run, calibrate=calibrate).metrics["images"] == 6
    with pytest.raises(EanetError, match="no cuda device here; use --device cpu"):
        evaluate(run, device="cuda")


@pytest.mark.usefixtures("undrawn")
def test_what_was_found_about_a_run_s_images_is_said_of_them_alone(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    directory, finding = RunDirectory(run), "3 of the test images are copies"
    config = directory.read_config()
    data = config.data.model_copy(update={"findings": (finding,)})
    directory.write_config(config.model_copy(update={"data": data}))
    report = evaluate(run)
    assert report.findings == (finding,)
    assert finding in Reader(report.files[-1].read_text()).text
    assert evaluate(run, data=unseen(photos, tmp_path / "others")).findings == ()


@pytest.mark.usefixtures("undrawn")
def test_the_run_s_own_data_by_name_are_its_test_images(run: Path, photos: Path) -> None:
    check(evaluate(run, data=photos), run, PICTURES | {"curves.png"}, 6)


@pytest.mark.usefixtures("undrawn")
def test_a_bare_file_needs_data_and_is_reported_beside_it(run: Path, photos: Path) -> None:
    alone = run.parent / "alone" / "model.safetensors"
    alone.parent.mkdir()
    shutil.copy(run / "model.safetensors", alone)
    with pytest.raises(EanetError, match="name the images with --data"):
        evaluate(alone)
    report = evaluate(alone, data=str(photos))
    check(report, alone.parent / "model.safetensors-photos-all", PICTURES, 36, "all")
    assert report.metrics["label_smoothing"] == 0


@pytest.mark.usefixtures("undrawn")
def test_no_report_replaces_that_of_another_file_or_unsaid_that_of_other_images(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    for file in (first, second):
        shutil.copy(run / "model.safetensors", file)
    folders = {evaluate(file, data=str(photos)).files[-1].parent for file in (first, second)}
    assert len(folders) == 2
    assert "replaced" not in capsys.readouterr().err
    others = shutil.copytree(photos, tmp_path / "others" / "photos")
    evaluate(first, data=str(others))
    assert "has an earlier report, which is replaced: --output" in capsys.readouterr().err
    evaluate(run)
    assert "replaced" not in capsys.readouterr().err, "its own is that of its training"


@pytest.mark.usefixtures("undrawn")
def test_a_report_goes_where_it_is_told(run: Path, tmp_path: Path) -> None:
    check(
        evaluate(run, output=str(tmp_path / "here"), data_dir=tmp_path),
        tmp_path / "here",
        PICTURES | {"curves.png"},
        images=6,
    )


def test_another_run_is_not_written_into(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    before = {file: file.read_bytes() for file in other.iterdir()}
    with pytest.raises(
        EanetError, match=r"other holds another run; name another folder with --out"
    ):
        evaluate(run, output=other)
    assert {file: file.read_bytes() for file in other.iterdir()} == before


@pytest.mark.usefixtures("undrawn")
def test_data_without_files_have_no_table_of_predictions(tmp_path: Path) -> None:
    path = save_model(create_model("vit", num_classes=10, image_size=8, depth=1), tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("metrics.json", "predictions.csv"):  # of an earlier report, on files
        (folder / name).write_text("{}")
    report = evaluate(path, data="digits", output=folder)
    names = {file.name for file in report.files}
    assert names == (TABLES - {"predictions.csv"}) | PICTURES | {"report.html"}
    assert {file.name for file in folder.iterdir()} == names, "none of other images stays"
    assert report.metrics["images"] == 1797


# Calibration


@pytest.mark.usefixtures("undrawn")
def test_the_page_offers_a_temperature_where_there_are_images_to_fit_it_on(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    def offered(**asked: object) -> bool:
        page = evaluate(run, **asked).files[-1]  # type: ignore[arg-type]
        return "--calibrate" in page.read_text("utf-8")

    assert offered()
    assert not offered(split="validation"), "its own images are no judge of it"
    assert not offered(data=unseen(photos, tmp_path / "other" / "photos"))


@pytest.mark.usefixtures("undrawn")
def test_a_calibrated_run_predicts_what_its_report_tells(run: Path, photos: Path) -> None:
    plain = evaluate(run)
    weights = (run / "model.safetensors").read_bytes()
    report = evaluate(run, calibrate=True)
    found, names = report.metrics, {file.name for file in report.files}
    assert names == TABLES | PICTURES | {"curves.png", "report.html", "model.safetensors"}
    assert found["temperature"] != pytest.approx(1, abs=0.05)
    assert (found["nll_before"], found["ece_before"]) == (
        plain.metrics["nll"],
        plain.metrics["ece"],
    )
    assert found["top1"] == plain.metrics["top1"]
    assert (run / "model.safetensors").read_bytes() != weights

    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    answers = eanet.load(run).predict([row["image"] for row in rows])
    assert [answer.top1 for answer in answers] == [row["predicted"] for row in rows]
    sure = [answer.probabilities[0] for answer in answers]
    assert sure == pytest.approx([float(row["probability"]) for row in rows], abs=1e-4)
    for answer, row in zip(answers, rows, strict=True):
        told = [float(row[f"P({name})"]) for name in answer.classes]
        assert told == pytest.approx(answer.probabilities, abs=1e-4)

    again = evaluate(run, calibrate=True).metrics
    assert again["temperature"] == pytest.approx(1, abs=1e-3)
    assert again["nll"] == pytest.approx(found["nll"], abs=1e-4)


@pytest.mark.usefixtures("undrawn")
def test_the_temperature_is_that_of_the_validation_images(run: Path) -> None:
    model = load_model(run)
    settings = RunDirectory.open(run).read_config().settings
    held_out = open_source(settings.data).load(settings).validation
    assert held_out is not None
    answers = evaluate_model(model, held_out)
    wanted = fit_temperature(answers.logits, answers.labels)
    assert evaluate(run, calibrate=True).metrics["temperature"] == pytest.approx(wanted)


@pytest.mark.usefixtures("undrawn")
def test_a_model_calibrated_on_other_data_stands_beside_their_report(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "photos"
    for split in ("train", "val", "test"):
        unseen(photos, other / split)
    weights = (run / "model.safetensors").read_bytes()
    metrics = evaluate(run, data=other, calibrate=True).metrics
    assert (run / "model.safetensors").read_bytes() == weights
    scaled, own = load_model(run / "photos-test").head.weight, load_model(run).head.weight
    torch.testing.assert_close(scaled * metrics["temperature"], own)


def test_a_temperature_needs_validation_images_that_it_is_not_judged_by(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    before = {file: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(EanetError, match="leave out --calibrate or use another --split"):
        evaluate(run, split="validation", calibrate=True)
    other = unseen(photos, tmp_path / "other" / "photos")
    with pytest.raises(EanetError, match="photos has no validation images to fit the model to"):
        evaluate(run, data=other, calibrate=True)
    assert {file: file.read_bytes() for file in run.iterdir()} == before


# Unknown things


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A folder of pictures unlike `photos`, and a file that is no image."""
    folder = tmp_path / "noise"
    folder.mkdir()
    for number in range(5):
        shade = Image.effect_noise((16, 16), 100 + number).convert("RGB")
        shade.save(folder / f"{number}.png")
    (folder / "no.png").write_text("no image")
    return folder


@pytest.mark.usefixtures("undrawn")
def test_a_trained_run_learns_what_it_does_not_know_if_there_are_enough_images(
    run: Path,
    noise: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (run / "model.safetensors").read_bytes()
    report = evaluate_trained(run)
    assert "the model will answer whatever an image shows: " in capsys.readouterr().err
    assert (run / "model.safetensors").read_bytes() == before, "3 validation images are too few"
    assert report.detector is None
    monkeypatch.setattr("eanet.report.evaluate.FALSE_REJECTIONS", 0.25)
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "cholesky", Mock(side_effect=np.linalg.LinAlgError))
        assert evaluate_trained(run).detector is None
    assert "whatever an image shows: to the model, the training" in capsys.readouterr().err
    report = evaluate_trained(run)
    assert report.detector == DetectorFit(0.25, 27, 3)
    assert json.loads((run / "metrics.json").read_text())["false_rejections"] <= 1
    rows = csv.DictReader((run / "predictions.csv").read_text("utf-8").splitlines())
    assert [float(row["distance"]) > 0 for row in rows] == [True] * 6
    answers = eanet.load(run).predict(sorted(noise.glob("[0-9].png")))
    assert all(answer.is_unknown for answer in answers)


@pytest.mark.usefixtures("undrawn")
def test_other_pictures_are_counted_by_a_model_that_is_given_a_threshold(
    run: Path, photos: Path, noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, fresh = tmp_path / "other", unseen(photos, tmp_path / "fresh")
    for split, numbers in (("train", range(12)), ("val", range(7)), ("test", range(7, 12))):
        for name in ("red", "green", "blue"):
            (other / split / name).mkdir(parents=True)
            for number in numbers:
                shutil.copy(fresh / name / f"{number:02}.png", other / split / name)
    with pytest.raises(EanetError, match="takes 99 validation images"):
        evaluate(run, data=other, false_rejections=0.01)
    with pytest.raises(EanetError, match="a share above 0"):
        evaluate(run, false_rejections=0.0)
    report = evaluate(run, data=other, unknown=noise)
    assert report.metrics["unknown_images"] == 5
    assert report.metrics["unknown_rejected"] == report.metrics["unknown_auroc"] == 1
    assert "no.png" in capsys.readouterr().err
    folder = run / "other-test"
    assert {"distances.png", "model.safetensors"} <= {file.name for file in report.files}
    assert load_model(run).detector is None, "the run's own model is left alone"
    first = (folder / "model.safetensors").read_bytes()
    report = evaluate(folder / "model.safetensors", data=other, unknown=noise)
    assert "model.safetensors" not in {file.name for file in report.files}, "it has a threshold"
    assert (folder / "model.safetensors").read_bytes() == first
    with pytest.raises(EanetError, match="no such image or folder"):
        evaluate(folder / "model.safetensors", data=other, unknown=tmp_path / "none")
    with pytest.raises(EanetError, match="leave out --unknown"):
        evaluate(run, data=other, split="validation", unknown=noise)


@pytest.mark.usefixtures("undrawn")
def test_distances_of_another_library_are_reported_as_those_of_pytorch(
    run: Path, noise: Path
) -> None:
    model = load_model(run)
    model.detector = UnknownDetector(model.head.in_features, 3, DetectorFit(0.25, 27, 3))
    model.detector.whitening.copy_(torch.eye(model.head.in_features))
    save_model(model, run)
    expected = evaluate(run, unknown=noise)
    found = evaluate(run, unknown=noise, runtime="openvino")
    assert found.metrics == pytest.approx(dict(expected.metrics), abs=1e-3)
    assert found.detector == expected.detector == DetectorFit(0.25, 27, 3)
    page = (run / "report.html").read_text("utf-8")
    assert "from those of 27 training images" in page
    assert "answers whatever an image shows" not in page


# Wrong input


def test_images_that_are_not_there_are_one_line(run: Path, tmp_path: Path, photos: Path) -> None:
    with pytest.raises(EanetError, match=r"^unknown split 'tset'; did you mean 'test'\?"):
        evaluate(run, split="tset")  # type: ignore[arg-type]
    with pytest.raises(EanetError, match="does not know the classes '0', '1', '2', '3', '4' and 5"):
        evaluate(run, data="digits")
    other = unseen(photos, tmp_path / "other")
    with pytest.raises(EanetError, match="other has no validation images; use --split train"):
        evaluate(run, data=other, split="validation")


@pytest.mark.usefixtures("undrawn")
def test_classes_are_found_by_name_in_whatever_order_the_model_has_them(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    model = create_model("vit", classes=["red", "green", "blue"], image_size=16, depth=1)
    report = evaluate(save_model(model, tmp_path), data=photos)
    assert report.evaluation.classes == ("red", "green", "blue")
    assert report.images.files is not None
    named = [file.parent.name for file in report.images.files]
    assert [report.evaluation.classes[label] for label in report.evaluation.labels] == named


# Images that the run knows by their content


@pytest.mark.usefixtures("undrawn")
def test_images_of_one_class_are_scored_as_among_all(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = unseen(photos, tmp_path / "new")
    for name in ("blue", "green"):
        shutil.rmtree(other / name)
    report = evaluate(run, data=other)
    assert report.metrics["images"] == 12
    assert report.evaluation.classes == ("blue", "green", "red")
    assert set(report.evaluation.labels) == {2}
    assert "was trained on none of these files" in capsys.readouterr().err
    (other / "red").rename(other / "owl")
    with pytest.raises(EanetError, match=r"does not know the class 'owl' in .*; it knows 'blue'"):
        evaluate(run, data=other)
    with pytest.raises(EanetError, match=r"no class folders in .*owl"):
        evaluate(run, data=other / "owl")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("group", ["patient", r"(\d)\.png"])
def test_other_images_need_not_name_the_groups_of_the_run(
    run: Path, photos: Path, tmp_path: Path, group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((run / RUN_CONFIG).read_text())
    config["resolved"]["group"] = config["settings"]["group"] = group
    (run / RUN_CONFIG).write_text(yaml.safe_dump(config))
    other = unseen(photos, tmp_path / "other")
    for file in list(other.rglob("*.png")):
        file.rename(file.with_suffix(".PNG"))
    assert evaluate(run, data=other).metrics["images"] == 36
    assert f"(group={group}): intervals count each by itself" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_images_that_have_moved_are_those_that_the_run_was_tested_on(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = evaluate(run)
    moved = shutil.copytree(photos, tmp_path / "elsewhere")
    report = evaluate(run, data=moved)
    assert (report.metrics, report.split) == (before.metrics, "test")
    assert "has seen 27 in train and 3 in validation of the 36 images" in capsys.readouterr().err
    assert evaluate(run, data=moved, split="train").metrics["images"] == 27
    unseen(photos / "red", moved / "red" / "more")
    report = evaluate(run, data=moved)
    assert (report.metrics["images"], report.split) == (6 + 12, "unseen")
    shutil.rmtree(moved)
    for name in ("train", "test"):  # whatever folders now say
        shutil.copytree(photos, moved / name)
    assert evaluate(run, data=moved).metrics == before.metrics


def test_images_that_the_run_has_seen_are_no_test(run: Path, photos: Path, tmp_path: Path) -> None:
    with (run / "predictions.csv").open() as file:
        tested = [Path(row["image"]) for row in csv.DictReader(file)]
    moved = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    for file in tested:
        (moved / file.relative_to(photos)).unlink()
    with pytest.raises(EanetError, match="has seen all that could be evaluated of the 30 images"):
        evaluate(run, data=moved)


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_recorded_no_images_says_nothing_of_them(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "images.npy").unlink()
    moved = shutil.copytree(photos, tmp_path / "elsewhere")
    assert evaluate(run, data=moved).metrics["images"] == 36
    assert "seen" not in capsys.readouterr().err


def test_the_best_epoch_is_the_one_whose_weights_were_kept() -> None:
    def row(epoch: int, accuracy: float, loss: float) -> dict[str, float]:
        return {"epoch": epoch, "val_accuracy": accuracy, "val_loss": loss}

    def best(*history: dict[str, float]) -> int | None:
        return Training({}, history).best_epoch

    assert best(row(1, 0.5, 1.0), row(2, 0.7, 2.0), row(3, 0.6, 0.1)) == 2
    assert best(row(1, 0.7, 1.0), row(2, 0.7, 0.9), row(3, 0.7, 0.9)) == 2
    assert best({"epoch": 1, "train_loss": 1.0}) is None
