"""The figures of a report as files: ``metrics.json``, ``classes.csv``, ``predictions.csv``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from eanet.files import user_path, write_csv, write_json
from eanet.metrics.classes import ClassFigures
from eanet.metrics.confusion import most_confused
from eanet.metrics.evaluation import Evaluation
from eanet.report.report import Report

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
    rows = ((row.name, row.support, row.precision, row.recall, row.f1) for row in figures)
    cells = (["" if value != value else value for value in row] for row in rows)
    return write_csv(path, ("class", "images", "precision", "recall", "f1"), cells)


def write_predictions(evaluation: Evaluation, files: Sequence[Path], path: Path) -> Path:
    """Write one row per image: file, true and predicted class, and the latter's probability.

    With a detector of unknown images, also the distance from the training images.

    Args:
        evaluation: of the n images.
        files: the n files.
        path: the CSV file to write.
    """
    names = evaluation.classes
    columns: dict[str, list[str]] = {
        "image": [str(file) for file in files],
        "true": [names[k] for k in evaluation.labels.tolist()],
        "predicted": [names[k] for k in evaluation.predicted.tolist()],
        "probability": [f"{p:.6f}" for p in evaluation.probabilities.max(axis=1).tolist()],
    }
    if evaluation.distance is not None:
        columns["distance"] = [f"{distance:.4f}" for distance in evaluation.distance.tolist()]
    return write_csv(path, tuple(columns), zip(*columns.values(), strict=True))
