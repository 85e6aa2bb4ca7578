"""The figures of a report as files: ``metrics.json``, ``classes.csv``, ``predictions.csv``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eanet.evaluation.classes import ClassFigures
from eanet.evaluation.confusion import most_confused
from eanet.evaluation.contents import Contents
from eanet.evaluation.evaluate import Evaluation
from eanet.files import replacing

PAIRS = 20  # of confused classes


def write_metrics(contents: Contents, path: Path) -> Path:
    """Write the metrics and the most confused classes, behind what they are about, as JSON."""
    evaluation = contents.evaluation
    pairs = most_confused(evaluation.confusion(), evaluation.classes, PAIRS)
    text = {
        "model": contents.model,
        "data": contents.data,
        "split": contents.split,
        **contents.metrics,
        "most_confused": [
            {"true": true, "predicted": predicted, "images": images}
            for true, predicted, images in pairs
        ],
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(text, indent=2) + "\n", "utf-8")
    return path


def write_classes(figures: Sequence[ClassFigures], path: Path) -> Path:
    """Write a row for each class, in their order; empty cells where there is nothing to tell."""
    rows = ((row.name, row.support, row.precision, row.recall, row.f1) for row in figures)
    cells = (["" if value != value else value for value in row] for row in rows)
    return write_csv(path, ("class", "images", "precision", "recall", "f1"), cells)


def write_predictions(evaluation: Evaluation, files: Sequence[Path], path: Path) -> Path:
    """Write a row for each image: its file, true and predicted class, and the latter's probability.

    Args:
        evaluation: of the n images.
        files: the n files.
        path: the CSV file to write.
    """
    names = evaluation.classes
    best = evaluation.probabilities.max(axis=1).tolist()
    answers = zip(
        files, evaluation.labels.tolist(), evaluation.predicted.tolist(), best, strict=True
    )
    rows = ((str(file), names[true], names[found], f"{p:.6f}") for file, true, found, p in answers)
    return write_csv(path, ("image", "true", "predicted", "probability"), rows)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write rows behind their header.

    Raises:
        EanetError: the file cannot be written.
    """
    # File names may hold any bytes; they are written as they are.
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path
