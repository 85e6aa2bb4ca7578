"""The section of a report's page on when a model should not answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from eanet.metrics.coverage import answered_above
from eanet.plots.coverage import plot_coverage
from eanet.plots.distances import plot_distances
from eanet.plots.svg import inline_svg
from eanet.report.images import other_image, sheet_images
from eanet.report.report import Report
from eanet.report.unknown import SHOWN


def unsure_context(report: Report) -> dict[str, Any]:
    """Return what ``unsure.html`` shows."""
    evaluation = report.evaluation
    certainty = evaluation.probabilities.max(axis=1)
    correct = evaluation.predicted == evaluation.labels
    distance = evaluation.distance
    # `predict` answers no unknown image, however probable.
    known = certainty if distance is None else np.where(distance <= 1, certainty, np.float32(-1))
    context: dict[str, Any] = {
        "curve": inline_svg(
            partial(plot_coverage, certainty, correct, metrics=report.metrics),
            "Accuracy by the share of the images that are answered, most probable answers first",
        ),
        "rows": answered_above(known, correct, groups=evaluation.groups),
        "detector": report.detector,
        "why_none": report.no_detector,
        "of_folds": report.folds is not None,
        "others": report.others,
        "distances": None,
        "nearest": [],
        "rejected": [],
    }
    if distance is None:
        return context
    farthest = np.argsort(-distance, kind="stable")[:SHOWN]
    rejected = [index for index in farthest.tolist() if distance[index] > 1]
    context["rejected"] = sheet_images(rejected, evaluation, report.images, distances=True)
    if report.others is not None:
        context["distances"] = inline_svg(
            partial(plot_distances, distance, report.others.distance),
            "Distances of known images and of other pictures from the training images",
        )
        context["nearest"] = [
            other_image(pixels, report.others.files[i], report.others.predictions[i])
            for i, pixels in report.others.nearest.items()
        ]
    return context
