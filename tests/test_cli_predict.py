from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import eanet
from eanet.cli import main

Capture = pytest.CaptureFixture[str]


def test_below_the_threshold_an_answer_is_uncertain_in_every_format(
    trained: eanet.TrainingResult, photos: Path, capsys: Capture
) -> None:
    image = photos / "red" / "00.png"
    sure = eanet.load(trained.path).predict(image)[0].probabilities[0]
    told = {}
    for threshold in (sure - 1e-4, sure + 1e-4):
        for kind in ("table", "json", "csv"):
            arguments = ["--threshold", str(threshold), "--format", kind]
            assert main(["predict", str(trained.path), str(image), *arguments]) == 0
            told[threshold < sure, kind] = capsys.readouterr().out
    assert "uncertain" not in told[True, "table"]
    assert told[False, "table"] == f"{image}: uncertain\n"
    assert len(json.loads(told[True, "json"])["predictions"]) == 1
    assert json.loads(told[False, "json"]) == {"image": str(image), "predictions": []}
    rows = list(csv.DictReader(io.StringIO(told[False, "csv"])))
    assert rows == [{"image": str(image), "class": "", "probability": ""}]


def test_images_are_copied_into_the_folders_of_their_classes(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "sorted"
    shutil.copytree(photos, inbox)
    (inbox / "bad.jpg").write_text("text")
    arguments = ["predict", str(trained.path), str(inbox), "--top", "1", "--format", "json"]
    assert main([*arguments, "--copy-to", str(out)]) == 1
    lines, err = capsys.readouterr()
    assert f"36 of 37 images copied to {out}\n" in err
    answers = [json.loads(line) for line in lines.splitlines()]
    expected: dict[str, int] = {}
    for answer in answers:
        name = answer["predictions"][0]["class"]
        expected[name] = expected.get(name, 0) + 1
    assert {d.name: len(list(d.iterdir())) for d in out.iterdir()} == expected
    originals = {path.read_bytes() for path in inbox.rglob("*.png")}
    assert {path.read_bytes() for path in out.rglob("*.png")} == originals
    assert len(list(inbox.rglob("*.png"))) == 36

    assert main([*arguments, "--copy-to", str(out), "--threshold", "1"]) == 1
    assert len(list((out / "uncertain").iterdir())) == 36


def test_an_archive_is_unpacked_and_each_image_in_it_answered(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(photos.glob("*/0[01].png")):
            archive.write(file, file.relative_to(photos))
    assert main(["predict", str(trained.path), str(tmp_path / "photos.zip")]) == 0
    files = [Path(line.split(": ")[0]) for line in capsys.readouterr().out.splitlines()]
    assert [file.parent.name for file in files] == ["blue"] * 2 + ["green"] * 2 + ["red"] * 2
    assert all(file.is_file() for file in files)


@pytest.mark.parametrize("answers_are_on_the_screen", [True, False])
def test_progress_is_shown_unless_the_answers_scroll_by(
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    answers_are_on_the_screen: bool,
) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr("eanet.console.console", terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: answers_are_on_the_screen)
    assert main(["predict", str(trained.path), str(photos)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 36
    assert ("36/36" in terminal.file.getvalue()) != answers_are_on_the_screen


@pytest.mark.filterwarnings("error")
def test_odd_files_that_can_be_read_cause_no_warnings(
    trained: eanet.TrainingResult, tmp_path: Path, capsys: Capture
) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert main(["predict", str(trained.path), str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_copies_that_cannot_be_written_are_one_line(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    arguments = ["predict", str(trained.path), str(photos / "red"), "--copy-to"]
    assert main([*arguments, str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("eanet: error: cannot copy ")


def test_an_empty_folder_is_one_line(
    refused: Callable[..., tuple[int, str]], trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    assert refused("predict", trained.path, tmp_path) == (1, f"no image in {tmp_path}")


@pytest.mark.parametrize("command", [["datasets", ""], ["train", ""], ["predict", "{run}", ""]])
def test_an_empty_name_is_not_the_folder_at_hand(
    refused: Callable[..., tuple[int, str]],
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(photos)
    code, line = refused(*(part.format(run=trained.path) for part in command))
    assert code == 2
    assert line.endswith("is empty")
