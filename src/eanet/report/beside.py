"""The files beside a report's page: its figures, and its pictures as PNG."""

from __future__ import annotations

from pathlib import Path

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

OPTIONAL = ("label_suspects.png", "distances.png", "curves.png", "learning_rate.png")
SUSPECTS = 48  # images on the sheet of labels that are suspected


def write_files(report: Report, folder: Path) -> list[Path]:
    """Write the figures, and the pictures as PNG, into a folder.

    Pictures of an earlier report there, which this one lacks, are removed: they show other figures.
    """
    is_later = (folder / METRICS_FILE).exists()
    evaluation, images, training = report.evaluation, report.images, report.training
    files = [
        write_metrics(report, folder / METRICS_FILE),
        write_classes(evaluation.by_class, folder / "classes.csv"),
    ]
    if images.files is not None or report.folds is not None:
        files.append(write_predictions(report, folder / "predictions.csv"))
    title = f"{report.model} on {report.data} ({report.split})"
    sample = choose_samples(evaluation.labels, evaluation.predicted)
    files += [
        plot_confusion(
            evaluation.confusion(), evaluation.classes, folder / "confusion.png", title=title
        ),
        plot_reliability(
            evaluation.reliability,
            folder / "reliability.png",
            title=title,
            before=report.reliability_before,
        ),
        plot_coverage(
            evaluation.probabilities.max(axis=1),
            evaluation.predicted == evaluation.labels,
            folder / "coverage.png",
            title=title,
            metrics=report.metrics,
        ),
        plot_samples(
            images.subset(sample).images,
            evaluation.labels[sample],
            evaluation.probabilities[sample],
            evaluation.classes,
            folder / "samples.png",
            title=title,
        ),
    ]
    if report.folds is not None:
        files += _write_suspects(report, report.folds, folder)
    if report.others is not None and evaluation.distance is not None:
        files.append(
            plot_distances(
                evaluation.distance,
                report.others.distance,
                folder / "distances.png",
                title=f"{title} and on {report.others.name}",
            )
        )
    if training is not None and training.history:
        files.append(
            plot_curves(
                training.history,
                folder / "curves.png",
                title=f"{report.model} on {training.config.data.name}",
                best_epoch=training.best_epoch,
            )
        )
    if training is not None and training.search is not None:
        files.append(
            plot_range_test(
                training.search,
                training.config.resolved.learning_rate,
                folder / "learning_rate.png",
                title=f"Learning rates tried on {training.config.data.name}",
            )
        )
    if is_later:  # else pictures of these names are somebody's own
        for stale in {folder / name for name in OPTIONAL}.difference(files):
            stale.unlink(missing_ok=True)
    return files


def _write_suspects(report: Report, folds: Folds, folder: Path) -> list[Path]:
    """Write the labels that are suspected as CSV and, if there are any, as a sheet."""
    files = [write_label_suspects(report, folds, folder / "label_suspects.csv")]
    if folds.suspects:
        shown = [suspect.index for suspect in folds.suspects[:SUSPECTS]]
        files.append(
            plot_samples(
                report.images.subset(shown).images,
                report.evaluation.labels[shown],
                report.evaluation.probabilities[shown],
                report.evaluation.classes,
                folder / "label_suspects.png",
                title=f"Labels of {report.data} that are suspected of being wrong",
                given="label",
            )
        )
    return files
