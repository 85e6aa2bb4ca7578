"""The files beside a report's page: its figures, and its pictures as PNG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.plots.confusion import plot_confusion
from eanet.plots.coverage import plot_coverage
from eanet.plots.curves import plot_curves
from eanet.plots.distances import plot_distances
from eanet.plots.lr_search import plot_range_test
from eanet.plots.reliability import plot_reliability
from eanet.plots.samples import choose_samples, plot_samples
from eanet.report.files import (
    METRICS_FILE,
    write_classes,
    write_label_suspects,
    write_metrics,
    write_predictions,
)
from eanet.report.report import Folds, Report
from eanet.report.subject import PAGE

OPTIONAL = (
    *("predictions.csv", "label_suspects.csv", "label_suspects.png"),
    *("distances.png", "curves.png", "learning_rate.png"),
)
SUSPECTS = 48  # images on the sheet of labels that are suspected


def write_files(report: Report, folder: Path) -> list[Path]:
    """Write the figures, and the pictures as PNG, into a folder.

    Those of an earlier report there, which this one lacks, are removed: they are of other figures.
    """
    is_later = any((folder / name).exists() for name in (METRICS_FILE, PAGE))
    files = [*_write_figures(report, folder), *_draw(report, folder)]
    if report.folds is not None:
        files += _write_suspects(report, report.folds, folder)
    files += _draw_others(report, folder)
    if is_later:  # else files of these names are somebody's own
        for stale in {folder / name for name in OPTIONAL}.difference(files):
            stale.unlink(missing_ok=True)
    return files


def _write_figures(report: Report, folder: Path) -> Iterator[Path]:
    yield write_metrics(report, folder / METRICS_FILE)
    yield write_classes(report.evaluation.by_class, folder / "classes.csv")
    if report.images.files is not None or report.folds is not None:
        yield write_predictions(report, folder / "predictions.csv")


def _draw(report: Report, folder: Path) -> Iterator[Path]:
    """Draw what every report has."""
    evaluation, title = report.evaluation, _title(report)
    classes, probabilities = evaluation.classes, evaluation.probabilities
    yield plot_confusion(evaluation.confusion(), classes, folder / "confusion.png", title=title)
    now, before = evaluation.reliability, report.reliability_before
    yield plot_reliability(now, folder / "reliability.png", title=title, before=before)
    certainty, is_right = probabilities.max(axis=1), evaluation.predicted == evaluation.labels
    path, metrics = folder / "coverage.png", report.metrics
    yield plot_coverage(certainty, is_right, path, title=title, metrics=metrics)
    sample = choose_samples(evaluation.labels, evaluation.predicted)
    yield _draw_samples(report, sample, folder / "samples.png", title=title)


def _draw_others(report: Report, folder: Path) -> Iterator[Path]:
    """Draw what a report has if it is about unknown images, or about a run."""
    known, others, training = report.evaluation.distance, report.others, report.training
    if others is not None and known is not None:
        title = f"{_title(report)} and on {others.name}"
        yield plot_distances(known, others.distance, folder / "distances.png", title=title)
    if training is not None and training.history:
        path, title = folder / "curves.png", f"{report.model} on {training.config.data.name}"
        yield plot_curves(training.history, path, title=title, best_epoch=training.best_epoch)
    if training is not None and training.search is not None:
        path, rate = folder / "learning_rate.png", training.config.resolved.learning_rate
        title = f"Learning rates tried on {training.config.data.name}"
        yield plot_range_test(training.search, rate, path, title=title)


def _write_suspects(report: Report, folds: Folds, folder: Path) -> Iterator[Path]:
    """Write the labels that are suspected as CSV and, if there are any, as a sheet."""
    yield write_label_suspects(report, folds, folder / "label_suspects.csv")
    if folds.suspects:
        shown = np.array([suspect.index for suspect in folds.suspects[:SUSPECTS]])
        path, title = folder / "label_suspects.png", f"Labels of {report.data} that are suspected"
        yield _draw_samples(report, shown, path, title=f"{title} of being wrong", given="label")


def _draw_samples(report: Report, rows: NDArray[np.int64], path: Path, **options: str) -> Path:
    evaluation, pixels = report.evaluation, report.images.subset(rows).images
    labels, probabilities = evaluation.labels[rows], evaluation.probabilities[rows]
    return plot_samples(pixels, labels, probabilities, evaluation.classes, path, **options)


def _title(report: Report) -> str:
    return f"{report.model} on {report.data} ({report.split})"
