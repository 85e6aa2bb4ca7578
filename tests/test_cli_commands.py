from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import eanet
from eanet.cli import main
from eanet.metrics.calibration import verdict
from tests.support.trainings import interrupt_after_an_epoch

QUICK = ["--image-size", "16", "--compile", "off", "--precision", "fp32", "--threads", "1"]

Capture = pytest.CaptureFixture[str]


# Training and evaluating


def test_an_interrupted_training_exits_130_and_goes_on_where_it_was(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    run = tmp_path / "my photos"
    with monkeypatch.context() as patch:
        interrupt_after_an_epoch(patch)
        where = ["--output", str(tmp_path), "--name", run.name]
        arguments = ["train", str(photos), "--epochs", "3", *where]
        assert main([*arguments, *QUICK]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert f"resume with: eanet train --resume '{run}'\n" in err
    assert not (run / "metrics.json").exists()

    assert main(["train", "--resume", str(run)]) == 0
    out, err = capsys.readouterr()
    assert len((run / "history.csv").read_text().splitlines()) == 1 + 3
    assert out.splitlines()[0] == "6 images"
    lines = [line for line in out.splitlines() if line.startswith("wrote ")]
    wrote = [Path(line.removeprefix("wrote ")) for line in lines]
    assert (wrote[0], wrote[-1]) == (run / "metrics.json", run / "report.html")
    assert all(file.is_file() for file in wrote)
    assert "epoch 3/3" in err


def test_an_evaluation_prints_the_figures_that_it_writes(
    trained: eanet.TrainingResult, tmp_path: Path, capsys: Capture
) -> None:
    arguments = ["evaluate", str(trained.path), "--split", "train", "--output", str(tmp_path)]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    m = json.loads((tmp_path / "metrics.json").read_text())
    assert out.splitlines()[:7] == [
        "27 images",
        f"loss   {m['loss']:.4f}  (label smoothing 0.1)",
        f"top-1  {m['top1']:.2%}  (95% interval {m['top1_low']:.2%} to {m['top1_high']:.2%})",
        "guess  33.33%  (always the largest class of these images)",
        f"F1     {m['macro_f1']:.2%}  (precision {m['macro_precision']:.2%}, "
        f"recall {m['macro_recall']:.2%}; means over the classes)",
        f"ECE    {m['ece']:.2%}  (expected calibration error; {verdict(m)})",
        f"27 images are few: on others like them, expect a top-1 anywhere from "
        f"{m['top1_low']:.0%} to {m['top1_high']:.0%}",
    ]
    assert err == ""


def test_a_calibration_prints_what_it_changed(
    trained: eanet.TrainingResult, tmp_path: Path, capsys: Capture
) -> None:
    model = (trained.path / "model.safetensors").read_bytes()
    arguments = ["evaluate", str(trained.path), "--calibrate", "--output", str(tmp_path)]
    assert main(arguments) == 0
    m = json.loads((tmp_path / "metrics.json").read_text())
    out = capsys.readouterr().out
    assert (
        f"calibrated by temperature {m['temperature']:.3f}: ECE {m['ece_before']:.2%} before, "
        f"negative log-likelihood {m['nll_before']:.4f} before, {m['nll']:.4f} now\n"
    ) in out
    assert ("worse on these images" in out) == (m["nll"] > m["nll_before"])
    assert (trained.path / "model.safetensors").read_bytes() == model
    assert eanet.load(tmp_path).classes == eanet.load(trained.path).classes


# Predicting


def test_a_prediction_is_one_line_an_image(
    trained: eanet.TrainingResult, photos: Path, capsys: Capture
) -> None:
    assert main(["predict", str(trained.path), str(photos), "--top", "1"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 36
    assert lines[0].startswith(f"{photos / 'blue' / '00.png'}: blue ")
    assert lines[0].endswith("%")
    assert err == ""


def test_options_may_stand_between_the_run_and_the_images(
    trained: eanet.TrainingResult, photos: Path, capsys: Capture
) -> None:
    first, second = (str(photos / "red" / f"0{number}.png") for number in range(2))
    assert main(["predict", str(trained.path), "--top", "1", first, "--format", "csv", second]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["image", first, second]


def test_json_and_csv_read_back_as_the_same_answers(
    trained: eanet.TrainingResult, photos: Path, capsys: Capture
) -> None:
    images = [str(photos / "red" / "00.png"), f"{photos}/*/01.png"]
    assert main(["predict", str(trained.path), *images, "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main(["predict", str(trained.path), *images, "--format", "csv"]) == 0
    table = capsys.readouterr().out
    assert "\r" not in table
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(lines) == 4
    assert [
        (line["image"], best["class"], f"{best['probability']:.6f}")
        for line in lines
        for best in line["predictions"]
    ] == [(row["image"], row["class"], row["probability"]) for row in rows]


def test_unreadable_images_of_a_list_are_reported_and_the_others_answered(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    good = [photos / "red" / "00.png", photos / "blue" / "00.png"]
    listing = "\n".join(str(path) for path in (good[0], text, tmp_path / "gone.png", good[1]))
    monkeypatch.setattr(sys, "stdin", io.StringIO(listing))
    assert main(["predict", str(trained.path), "-"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(path) for path in good]
    assert err.splitlines() == [
        f"eanet: error: cannot read image {text}: not an image",
        f"eanet: error: cannot read image {tmp_path / 'gone.png'}: No such file or directory",
    ]


def test_an_image_that_does_not_exist_is_one_line(
    refused: Callable[..., tuple[int, str]], trained: eanet.TrainingResult
) -> None:
    assert refused("predict", trained.path, "gone.png") == (
        1,
        "no such image or folder: gone.png",
    )


def test_a_file_whose_name_is_no_utf8_is_answered_under_its_own_name(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        shutil.copy(photos / "red" / "00.png", name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    assert main(["predict", str(trained.path), os.fsdecode(name)]) == 0
    assert capsysbinary.readouterr().out.startswith(name + b": ")


# Data sets


def test_a_look_at_images_shows_what_the_augmentation_of_a_recipe_makes_of_them(
    photos: Path, tmp_path: Path, refused: Callable[..., tuple[int, str]], capsys: Capture
) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("mixup: 0.2\n")
    sheets = []
    for name, options in (("default", []), ("own", ["--recipe", str(recipe)])):
        assert main(["datasets", str(photos), "--output", str(tmp_path / name), *options]) == 0
        sheets.append(tmp_path / name / "augmented.png")
        assert f"wrote {sheets[-1]}\n" in capsys.readouterr().out
    assert sheets[0].read_bytes() != sheets[1].read_bytes()
    code, line = refused("datasets", photos, "--recipe", "defalt")
    assert (code, line) == (2, "unknown recipe 'defalt'; did you mean 'default'?")


def test_names_of_folders_and_files_that_are_no_utf8_can_be_written_and_drawn(
    photos: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    own = tmp_path / os.fsdecode(b"f\xfcr") / "own"
    folder = own / os.fsdecode(b"k\xe4se")
    try:
        shutil.copytree(photos / "red", folder)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    shutil.copytree(photos / "blue", own / "blue")
    image = (folder / "00.png").rename(folder / os.fsdecode(b"\xe9.png"))
    options = ["--image-size", "8", "--epochs", "1", "--compile", "off", "--threads", "1"]
    options += ["--model", "vit:depth=1,dim=16", "--output", str(own.parent), "--name", "r"]
    assert main(["train", str(own), *options]) == 0
    run = own.parent / "r"
    assert eanet.load(run).classes == ("blue", "k\\xe4se")
    assert main(["evaluate", str(run)]) == 0
    assert main(["explain", str(run), str(image)]) == 0
    assert main(["datasets", str(own), "--output", str(tmp_path / "look")]) == 0
    assert b"error" not in capfdbinary.readouterr().err


# Keras


def test_a_network_of_keras_becomes_a_model_with_the_names_of_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def read(file: Path, classes: list[str], image_size: int | None) -> eanet.Classifier:
        assert file == Path("nets/small.weights.h5")
        assert image_size in (None, 8)
        return eanet.create_model("vit", classes=classes, image_size=8, depth=1)

    monkeypatch.setattr("eanet.models.keras_import.import_keras", read)
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("ant\nbee\n\n", "utf-8-sig")  # as Windows' editors do
    assert (
        main(
            ["import-keras", "nets/small.weights.h5", "--classes", "names.txt", "--image-size", "8"]
        )
        == 0
    )
    assert "8 x 8 pixels, 2 classes\nwrote runs/small/model.safetensors" in capsys.readouterr().out
    assert eanet.load("runs/small").classes == ("ant", "bee")
    Path("runs/small/config.yaml").touch()  # as if it had been trained
    assert main(["import-keras", "nets/small.weights.h5"]) == 1
    assert "runs/small holds a run; name another folder with --output" in capsys.readouterr().err


def test_weights_of_keras_that_cannot_be_read_are_one_line(
    refused: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "text.weights.h5").write_text("no weights")
    code, line = refused("import-keras", tmp_path / "text.weights.h5")
    assert code == 1
    assert "is not a readable file of Keras 3" in line
    code, line = refused("import-keras", tmp_path / "gone.keras", "--classes", tmp_path / "gone")
    assert code == 1
    assert line == f"cannot read {tmp_path / 'gone'}: No such file or directory"
