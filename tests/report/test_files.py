from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from eanet.metrics.intervals import wilson_interval
from eanet.report.files import write_classes, write_metrics, write_predictions
from tests.support.reports import make_report


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
