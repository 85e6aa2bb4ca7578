"""The figures of a report as files: ``metrics.json``, ``classes.csv``, ``predictions.csv``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from math import isfinite
from pathlib import Path

from eanet.files import user_path, write_csv, write_json
from eanet.metrics.classes import ClassFigures
from eanet.metrics.confusion import most_confused
from eanet.report.predictions import image_names, prediction_columns
from eanet.report.report import Folds, Report

METRICS_FILE = "metrics.json"
PAIRS = 20  # of confused classes


def write_metrics(report: Report, path: Path) -> Path:
    """Write model, data and split, the metrics, and the most confused classes as JSON."""
    evaluation = report.evaluation
    pairs = most_confused(evaluation.confusion(), evaluation.classes, PAIRS)
    content = {
        "model": report.model,
        "data": report.data,
        "split": report.split,
        **report.metrics,
        "most_confused": [
            {"true": true, "predicted": predicted, "images": images}
            for true, predicted, images in pairs
        ],
    }
    return write_json(path, content)


def read_metrics(where: str | Path) -> dict[str, float] | None:
    """Return the figures of an evaluated run, those that are defined; None if there are none."""
    try:
        content = json.loads((user_path(where) / METRICS_FILE).read_text("utf-8"))
        return {n: v for n, v in content.items() if isinstance(v, int | float) and isfinite(v)}
    except (OSError, ValueError, AttributeError):
        return None


def write_classes(figures: Sequence[ClassFigures], path: Path) -> Path:
    """Write one row per class, in order; undefined figures are empty cells."""
    cells = (["" if value != value else value for value in astuple(row)] for row in figures)
    heads = ("class", "images", "precision", "recall", "f1", "recall_low", "recall_high")
    return write_csv(path, heads, cells)


def write_predictions(report: Report, path: Path) -> Path:
    """Write `prediction_columns` as one row per image."""
    folds = None if report.folds is None else report.folds.numbers
    columns = prediction_columns(report.evaluation, report.images, folds)
    for name, digits in (("probability", 6), ("distance", 4)):
        if name in columns:
            columns[name] = [f"{value:.{digits}f}" for value in columns[name]]
    return write_csv(path, tuple(columns), zip(*columns.values(), strict=True))


def write_label_suspects(report: Report, folds: Folds, path: Path) -> Path:
    """Write the images whose label is suspected, with a suggestion and probabilities."""
    names = image_names(report.images)
    rows = (
        (
            names[suspect.index],
            suspect.label,
            suspect.suggested,
            f"{suspect.label_probability:.6f}",
            f"{suspect.suggested_probability:.6f}",
            folds.numbers[suspect.index],
        )
        for suspect in folds.suspects
    )
    heads = ("image", "label", "suggested", "label_probability", "suggested_probability", "fold")
    return write_csv(path, heads, rows)
