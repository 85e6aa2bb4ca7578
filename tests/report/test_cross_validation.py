"""A cross-validation of a small folder with a wrong label."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import eanet
from eanet.cli import main
from eanet.errors import EanetError
from eanet.report.cross_validation import CrossValidation, _findings
from tests.support.pictures import blank_pictures
from tests.support.reports import Reader

SETTINGS = {
    "model": "eanet_nano:depth=2,dim=32,heads=2",
    "image_size": 16,
    "epochs": 4,
    "compile": "off",
    "precision": "fp32",
    "threads": 1,
    "validation_fraction": 0,
}
NAME = "photos-eanet_nano-depth=2-dim=32-heads=2-3-folds"
WRONG = Path("blue/05x.png")  # it is red


@pytest.fixture(scope="module")
def folder(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs, one of which lies in the folder of another class."""
    own = Path(shutil.copytree(photos, tmp_path_factory.mktemp("folds") / "photos"))
    (own / "red/05.png").rename(own / WRONG)
    return own


@pytest.fixture(scope="module")
def whole(folder: Path) -> CrossValidation:
    """Over three folds. Change nothing in its folder: copy it."""
    before = torch.get_num_threads()
    with blank_pictures():
        found = eanet.cross_validate(folder, folds=3, output=folder.parent / "runs", **SETTINGS)
    torch.set_num_threads(before)
    return found


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_every_image_is_answered_once_by_a_run_that_has_not_seen_it(
    whole: CrossValidation, folder: Path
) -> None:
    assert whole.path == folder.parent / "runs" / NAME
    answers = rows(whole.path / "predictions.csv")
    assert sorted(row["image"] for row in answers) == sorted(map(str, folder.rglob("*.png")))
    assert {row["fold"] for row in answers} == {"1", "2", "3"}
    for number, run in enumerate(whole.runs, 1):
        own = {row["image"]: row["predicted"] for row in answers if row["fold"] == str(number)}
        tested = rows(run / "predictions.csv")
        assert own == {row["image"]: row["predicted"] for row in tested}
    assert whole.metrics["images"] == 36
    assert whole.metrics["top1"] > 0.8
    assert whole.metrics["top1_low"] < whole.metrics["top1"] <= whole.metrics["top1_high"]
    assert [row.fold for row in whole.accuracies] == [1, 2, 3]
    assert json.loads((whole.path / "metrics.json").read_text())["folds"] == 3


def test_the_wrong_label_is_suspected_first(whole: CrossValidation, folder: Path) -> None:
    suspect = whole.suspects[0]
    assert (suspect.label, suspect.suggested) == ("blue", "red")
    answers = rows(whole.path / "predictions.csv")
    assert answers[suspect.index]["image"] == str(folder / WRONG)
    listed = rows(whole.path / "label_suspects.csv")
    assert (listed[0]["image"], listed[0]["suggested"]) == (str(folder / WRONG), "red")
    assert len(listed) == len(whole.suspects) == whole.metrics["label_suspects"]
    assert (whole.path / "label_suspects.png") in whole.files
    page = Reader((whole.path / "report.html").read_text("utf-8"))
    assert {"folds", "labels"} <= page.ids.keys()
    assert "label: blue" in page.text
    assert "Unknown things" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_the_same_call_trains_nothing_again(
    whole: CrossValidation, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {run: (run / "model.safetensors").stat().st_mtime_ns for run in whole.runs}
    again = eanet.cross_validate(folder, folds=3, output=folder.parent / "runs", **SETTINGS)
    err = capsys.readouterr().err
    assert [f"fold {n} of 3: already done" in err for n in (1, 2, 3)] == [True] * 3
    assert {run: (run / "model.safetensors").stat().st_mtime_ns for run in again.runs} == before
    assert again.metrics == whole.metrics


def test_a_run_of_a_fold_is_evaluated_on_that_fold(whole: CrossValidation, tmp_path: Path) -> None:
    with blank_pictures():
        report = eanet.evaluate(whole.runs[1], output=tmp_path / "again")
    assert report.metrics["images"] == 12
    assert report.metrics["top1"] == whole.accuracies[1].top1


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("missing", ["metrics.json", "report.html"])
def test_what_was_interrupted_goes_on(
    missing: str,
    whole: CrossValidation,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = Path(shutil.copytree(whole.path, tmp_path / whole.path.name))
    (copy / "fold-2" / missing).unlink()
    shutil.rmtree(copy / "fold-3")
    (copy / "fold-3").mkdir()  # as a run leaves it that is killed while it starts
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    command = ["train", str(folder), "--folds", "3", "--output", str(tmp_path), *options]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "fold 1 of 3: already done" in err
    assert "fold 2 of 3: resuming" in err
    assert (copy / "fold-2" / missing).is_file()
    assert "\nfold 3 of 3\n" in err
    assert f"top-1  {whole.metrics['top1']:.2%}" in out
    assert "folds  3  (standard deviation " in out
    assert "suspected of being wrong  (label_suspects.csv" in out


def test_an_interruption_names_the_fold_and_what_goes_on(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eanet.report.cross_validation._train", stop)
    with pytest.raises(KeyboardInterrupt):
        eanet.cross_validate(folder, folds=3, output=tmp_path, **SETTINGS)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "stopped at fold 1 of 3; the same command resumes it"


def test_other_settings_or_images_are_refused(
    whole: CrossValidation, folder: Path, tmp_path: Path
) -> None:
    runs = folder.parent / "runs"
    other = SETTINGS | {"epochs": 3}
    with pytest.raises(EanetError, match=r"fold-1 was trained with epochs 4, not 3; .*--name"):
        eanet.cross_validate(folder, folds=3, output=runs, **other)
    copy = Path(shutil.copytree(whole.path, tmp_path / "own"))
    changed = Path(shutil.copytree(folder, tmp_path / "photos"))
    (changed / "red/00.png").write_bytes((changed / "green/00.png").read_bytes())
    with pytest.raises(EanetError, match=r"fold-1 was trained with data .*--name"):
        eanet.cross_validate(changed, folds=3, output=copy.parent, name="own", **SETTINGS)


@pytest.mark.usefixtures("undrawn")
def test_images_that_have_changed_since_are_not_mixed(photos: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(photos, tmp_path / "photos"))
    settings = SETTINGS | {"epochs": 1, "output": tmp_path, "model": "vit:depth=1,dim=16,heads=2"}
    eanet.cross_validate(own, folds=2, **settings)
    (own / "red/00.png").write_bytes((own / "green/01.png").read_bytes())
    with pytest.raises(EanetError, match=r"no longer those that .*fold-1 was trained on"):
        eanet.cross_validate(own, folds=2, **settings)


def test_what_was_found_about_single_folds_is_not_said_of_all_images() -> None:
    unequal, near = "9 of '3', 2 of '5'", "{} of the 17 test images have near-duplicates"
    of_folds = [[unequal, near.format(3)], [unequal], [near.format(1), unequal, "a teacher"]]
    assert _findings(of_folds) == (
        unequal,
        "in 2 of the 3 folds, such as fold 1: 3 of the 17 test images have near-duplicates",
        "in 1 of the 3 folds, such as fold 3: a teacher",
    )


@pytest.mark.usefixtures("undrawn")
def test_findings_of_later_folds_are_in_the_report(photos: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(photos, tmp_path / "photos"))
    shutil.copy(own / "red/00.png", own / "red/00-copy.png")
    settings = SETTINGS | {"epochs": 1, "output": tmp_path, "model": "vit:depth=1,dim=16,heads=2"}
    whole = eanet.cross_validate(own, folds=2, **settings)
    page = (whole.path / "report.html").read_text(encoding="utf-8")
    assert "of the 2 folds, such as fold" in page


def test_wrong_calls_are_one_line(refused: Callable, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"folds=5: fold, 1 to 5, .*cross_validate"):
        eanet.train(photos, folds=5)
    with pytest.raises(EanetError, match="leave out fold"):
        eanet.cross_validate(photos, fold=2)
    assert refused("train", photos, "--fold", "2")[0] == 2
    (tmp_path / "mine").write_text("")
    with pytest.raises(EanetError, match="mine"):
        eanet.cross_validate(photos, output=tmp_path, name="mine", model="vit")
