from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eanet.deploy.prediction import Prediction
from eanet.metrics.intervals import wilson_interval
from eanet.report.beside import write_files
from eanet.report.files import write_classes, write_metrics, write_predictions
from eanet.report.unknown import OtherPictures
from tests.support.pictures import blank_pictures
from tests.support.reports import make_report, make_training


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_metrics_are_written_behind_what_they_are_about(tmp_path: Path) -> None:
    report = make_report(["ant", "bee", "cat"])
    written = json.loads(write_metrics(report, tmp_path / "m.json").read_text())
    assert list(written)[:3] == ["model", "data", "split"]
    assert (written["model"], written["data"], written["split"]) == ("vit", "photos", "test")
    assert {key: written[key] for key in report.metrics} == report.metrics
    worst = written["most_confused"][0]
    matrix, names = report.evaluation.confusion(), report.images.classes
    assert matrix[names.index(worst["true"]), names.index(worst["predicted"])] == worst["images"]


def test_classes_are_a_row_each_in_their_order(tmp_path: Path) -> None:
    report = make_report(['a "b", c', "bee", "cat", "dog"], 3, wrong=0)
    rows = read_csv(write_classes(report.evaluation.by_class, tmp_path / "c.csv"))
    assert [row["class"] for row in rows] == ['a "b", c', "bee", "cat", "dog"]
    assert list(rows[0].values())[1:-2] == ["1", "1.0", "1.0", "1.0"]
    assert list(rows[3].values())[1:] == ["0", "0.0", "", "", "", ""]
    interval = float(rows[0]["recall_low"]), float(rows[0]["recall_high"])
    assert interval == wilson_interval(1, 1)


def test_predictions_are_a_row_an_image_under_its_own_name(tmp_path: Path) -> None:
    files = [Path("red") / os.fsdecode(b"caf\xe9,.png"), *(Path(f"{i}.png") for i in range(39))]
    report = make_report(["ant", "bee"], files=files)
    evaluation = report.evaluation
    rows = read_csv(write_predictions(report, tmp_path / "p.csv"))
    assert [row["image"] for row in rows] == [str(file) for file in files]
    assert [row["true"] for row in rows] == ["ant", "bee"] * 20
    wrong = sum(row["true"] != row["predicted"] for row in rows)
    assert wrong / 40 == pytest.approx(1 - evaluation.top(1))
    best = evaluation.probabilities.max(axis=1)
    assert [float(row["probability"]) for row in rows] == pytest.approx(best.tolist(), abs=1e-6)


def test_the_name_of_a_class_breaks_no_line_of_a_list(tmp_path: Path) -> None:
    file = write_predictions(make_report(["ant\nhill", "\x1b[2J"]), tmp_path / "p.csv")
    head = file.read_text("utf-8").splitlines()[0]
    assert head.endswith(",P(ant\\x0ahill),P(\\x1b[2J)")


def test_pictures_of_an_earlier_report_go_and_others_stay(tmp_path: Path) -> None:
    short = make_report(["ant", "bee"])
    far = OtherPictures("noise", (Path("1.png"),), (Prediction(("ant",), (0.8,), 1.4),), {})
    distance = np.linspace(0.1, 1.1, 40, dtype=np.float32)
    judged = replace(short.evaluation, distance=distance)
    long = replace(short, evaluation=judged, others=far, training=make_training())
    optional = {tmp_path / "distances.png", tmp_path / "curves.png"}
    (tmp_path / "curves.png").write_text("mine")
    with blank_pictures():
        files = write_files(short, tmp_path)
        assert (tmp_path / "curves.png").read_text() == "mine", "there was no report"
        assert {*write_files(long, tmp_path)} == optional.union(files)
        assert all(file.is_file() for file in optional)
        (tmp_path / "own.png").touch()
        assert write_files(short, tmp_path) == files
        assert {*tmp_path.iterdir()} == {tmp_path / "own.png", *files}
        write_files(long, tmp_path)
        # A training that goes on removes the figures alone.
        (tmp_path / "metrics.json").rename(tmp_path / "report.html")
        assert write_files(short, tmp_path) == files
    assert not any(picture.exists() for picture in optional)
