"""The report as one page of HTML that needs no other file and no network.

Each section is a template of its own; what it shows comes from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eanet.metrics.calibration import BINS, note_of_temperature, verdict
from eanet.metrics.evaluation import MANY_CLASSES
from eanet.metrics.intervals import note_of_few, note_of_guess, of_groups
from eanet.pages.images import SheetImage
from eanet.pages.notebook import Figure
from eanet.pages.page import render_page, subtitle
from eanet.plots.reliability import plot_reliability
from eanet.plots.samples import choose_samples, least_certain, most_wrong
from eanet.plots.svg import inline_svg
from eanet.report.beside import SUSPECTS
from eanet.report.confusion import confusion_context
from eanet.report.images import sheet_images
from eanet.report.report import Folds, Report
from eanet.report.training import training_context
from eanet.report.unsure import unsure_context
from eanet.text import some

SECTIONS = {  # the id is also the name of its template
    "result": "Result",
    "folds": "Folds",
    "labels": "Labels",
    "mistakes": "Most wrong",
    "confusion": "Confusion",
    "classes": "Classes",
    "calibration": "Calibration",
    "unsure": "Not sure",
    "samples": "Samples",
    "training": "Training",
}


def write_page(report: Report, path: Path) -> Path:
    """Write the HTML page.

    Raises:
        EanetError: the file cannot be written.
    """
    evaluation, images, m = report.evaluation, report.images, report.metrics
    sections, wrong = dict(SECTIONS), most_wrong(evaluation.labels, evaluation.probabilities)
    if not len(wrong):
        sections["mistakes"] = "Least certain"
    if report.folds is None:
        del sections["folds"], sections["labels"]
    training = None
    if report.training is None:
        del sections["training"]
    else:
        training = training_context(report.training)
    return render_page(
        path,
        "eanet.report",
        sections,
        title=f"{report.model} on {report.data}",
        subtitle=_subtitle(report),
        metrics=m,
        # The interval of folds is that of few trainings as well.
        warning=None if report.folds is not None else note_of_few(m),
        findings=(*report.findings, *_absent(report)),
        cards=list(_cards(report)),
        is_perfect=not len(wrong),
        mistakes=sheet_images(
            wrong if len(wrong) else least_certain(evaluation.probabilities), evaluation, images
        ),
        confusion=confusion_context(evaluation, images),
        # Worst first.
        classes=sorted(evaluation.by_class, key=lambda c: -1.0 if math.isnan(c.f1) else c.f1),
        calibration=_calibration(report),
        unsure=unsure_context(report),
        folds=report.folds,
        suspects=[] if report.folds is None else _suspects(report, report.folds),
        samples=sheet_images(
            choose_samples(evaluation.labels, evaluation.predicted), evaluation, images
        ),
        training=training,
    )


def _suspects(report: Report, folds: Folds) -> list[SheetImage]:
    indices = [suspect.index for suspect in folds.suspects[:SUSPECTS]]
    return sheet_images(indices, report.evaluation, report.images, given="label")


def _subtitle(report: Report) -> str:
    split = "" if report.split == "all" else f"{report.split} "
    what = f"{len(report.images):,} {split}images of {len(report.evaluation.classes):,} classes"
    if groups := of_groups(report.metrics):
        what += f",{groups}"
    training = report.training
    return subtitle(what, {} if training is None else training.config.environment.recorded())


def _absent(report: Report) -> Iterator[str]:
    """Yield which classes nothing is known of, since they have no image."""
    if absent := [row.name for row in report.evaluation.by_class if not row.support]:
        yield (
            f"no images of {some(absent)}: these figures say nothing about "
            f"{'this class' if len(absent) == 1 else f'these {len(absent):,} classes'}"
        )


def _cards(report: Report) -> Iterator[Figure]:
    """Yield the figures of the first section."""
    m = report.metrics
    for k in (1, 5) if len(report.evaluation.classes) >= MANY_CLASSES else (1,):
        low, high = m[f"top{k}_low"], m[f"top{k}_high"]
        note = f"95% interval {low:.1%} to {high:.1%}"
        if groups := of_groups(m):
            note += f"; the images are{groups}"
        yield Figure(f"Top-{k} accuracy", f"{m[f'top{k}']:.2%}", note, (low, high))
    names, share = report.evaluation.largest_classes
    which = f"{names[0]}, the largest class" if len(names) == 1 else "one of the largest classes"
    guess = f"{which} of these images{note_of_guess(m)}"
    yield Figure("Always guessing", f"{share:.2%}", guess)
    averages = f"precision {m['macro_precision']:.1%}, recall {m['macro_recall']:.1%}"
    absent = any(not row.support for row in report.evaluation.by_class)
    over = f"means over the classes{' that have images' if absent else ''}"
    yield Figure("Macro F1", f"{m['macro_f1']:.1%}", f"{averages}; {over}")
    yield Figure("Calibration error", f"{m['ece']:.1%}", f"ECE; {verdict(m)}")
    if "views" in m:
        yield Figure("Views of an image", str(m["views"]), _what_views_do(report))
    smoothing = f"label smoothing {m['label_smoothing']:g}" if m["label_smoothing"] else ""
    yield Figure("Loss", f"{m['loss']:.3f}", smoothing)


def _what_views_do(report: Report) -> str:
    m = report.metrics
    if "views_gain" not in m:
        return "answers are averaged over them"
    interval = f"{100 * m['views_gain_low']:+.1f} to {100 * m['views_gain_high']:+.1f}"
    gain = f"top-1 {100 * m['views_gain']:+.1f} points against one (95% interval {interval})"
    return f"{gain}, {m['views_cost']:.1f} times its time"


def _calibration(report: Report) -> dict[str, Any]:
    now, before = report.evaluation.reliability, report.reliability_before
    return {
        "bins": BINS,
        "verdict": verdict(report.metrics),
        "is_calibrated": report.before is not None,
        "note": note_of_temperature(report.metrics) if report.before is not None else "",
        "is_possible": report.can_calibrate,
        "chart": inline_svg(
            lambda path: plot_reliability(now, path, before=before),
            "Accuracy of the predictions by confidence, and their number",
        ),
    }
