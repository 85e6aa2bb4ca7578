"""The report as one page of HTML that needs no other file and no network."""

from __future__ import annotations

from pathlib import Path

from eanet.metrics.calibration import BINS
from eanet.metrics.intervals import note_of_few
from eanet.pages.page import subtitle, write_sections
from eanet.pages.svg import inline_svg
from eanet.plots.reliability import plot_reliability
from eanet.plots.samples import choose_samples, most_wrong
from eanet.report.images import sheet
from eanet.report.report import Report
from eanet.report.tables import class_table, confusion_matrix, pair_table
from eanet.report.training import training_section


def write_page(report: Report, path: Path) -> Path:
    """Write the HTML page.

    Raises:
        EanetError: the file cannot be written.
    """
    parts = [
        ("result", "Result", _figures(report)),
        ("mistakes", "Most wrong", _mistakes(report)),
        ("confusion", "Confusion", _confusion(report)),
        ("classes", "Classes", _classes(report)),
        ("calibration", "Calibration", _calibration(report)),
        ("samples", "Samples", _samples(report)),
    ]
    if report.training is not None:
        parts.append(("training", "Training", training_section(report.training)))
    return write_sections(path, f"{report.model} on {report.data}", _subtitle(report), parts)


def _subtitle(report: Report) -> str:
    split = "" if report.split == "all" else f"{report.split} "
    what = f"{len(report.images):,} {split}images of {len(report.evaluation.classes):,} classes"
    training = report.training
    return subtitle(what, {} if training is None else training.config.environment.recorded())


def _figures(report: Report) -> str:
    m = report.metrics
    cards = [_accuracy("Top-1 accuracy", m["top1"], m["top1_low"], m["top1_high"])]
    if len(report.evaluation.classes) > 5:
        cards.append(_accuracy("Top-5 accuracy", m["top5"], m["top5_low"], m["top5_high"]))
    averages = f"precision {m['macro_precision']:.1%}, recall {m['macro_recall']:.1%}"
    sure = float(report.evaluation.probabilities.max(axis=1).mean())
    smoothing = f"label smoothing {m['label_smoothing']:g}" if m["label_smoothing"] else ""
    cards += [
        _card("Macro F1", f"{m['macro_f1']:.1%}", f"{averages}; means over the classes"),
        _card("Calibration error", f"{m['ece']:.1%}", f"ECE; mean confidence {sure:.1%}"),
        _card("Loss", f"{m['loss']:.3f}", smoothing),
    ]
    note = note_of_few(int(m["images"]), m["top1_low"], m["top1_high"])
    warning = f'<p class="warning">{note}.</p>\n' if note else ""
    return f'{warning}<dl class="cards">\n{"".join(cards)}</dl>'


def _card(name: str, value: str, note: str, scale: str = "") -> str:
    return f"<div><dt>{name}</dt><dd>{value}{scale}<small>{note}</small></dd></div>\n"


def _accuracy(name: str, value: float, low: float, high: float) -> str:
    scale = f'<div class="scale"><i style="--low:{low:.1%};--wide:{high - low:.1%}"></i></div>'
    return _card(name, f"{value:.2%}", f"95% interval {low:.1%} to {high:.1%}", scale)


def _mistakes(report: Report) -> str:
    evaluation = report.evaluation
    chosen = most_wrong(evaluation.labels, evaluation.probabilities)
    if not len(chosen):
        return "<p>No image was misclassified.</p>"
    intro = "Mistakes with the lowest probability for the true class, worst first."
    return f"<p>{intro}</p>\n{sheet(chosen, evaluation, report.images)}"


def _confusion(report: Report) -> str:
    matrix, classes = report.evaluation.confusion(), report.evaluation.classes
    intro = (
        "Rows are true classes, columns predictions: correct in blue, wrong in orange, deeper for "
        "a larger share of the true class."
    )
    pairs = pair_table(matrix, classes)
    table = f"<div><h3>Most confused</h3>\n{pairs}</div>" if pairs else ""
    kind = "columns" if len(classes) <= 12 else "stack"
    grid = confusion_matrix(matrix, classes)
    return f'<p>{intro}</p>\n<div class="{kind}"><div>{grid}</div>\n{table}</div>'


def _classes(report: Report) -> str:
    intro = (
        "Precision: how many predictions of a class are correct. Recall: how many of its images "
        "are found. F1: their harmonic mean. Click a heading to sort."
    )
    return f"<p>{intro}</p>\n{class_table(report.evaluation.by_class)}"


def _calibration(report: Report) -> str:
    now, m = report.evaluation, report.metrics
    chart = inline_svg(
        lambda path: plot_reliability(now.reliability, path, before=report.reliability_before),
        "Accuracy of the answers by confidence, and their number",
    )
    text = [
        "A calibrated model that is 80% sure is right 80% of the time. The expected calibration "
        f"error (ECE, {BINS} bins) is the mean distance between the two: {m['ece']:.1%} here."
    ]
    if len(now.labels) < 1000:
        text.append(f"From {len(now.labels):,} images this is a rough estimate, biased upwards.")
    if report.before is None and report.can_calibrate:
        text.append("To correct it with a temperature: <code>eanet evaluate RUN --calibrate</code>")
    if report.before is not None:
        text.append(
            f"The logits were divided by a temperature of {m['temperature']:.3f}, fitted on the "
            f"validation images: ECE {m['ece_before']:.1%} before, {m['ece']:.1%} now; negative "
            f"log-likelihood {m['nll_before']:.3f} before, {m['nll']:.3f} now."
        )
    paragraphs = "".join(f"<p>{line}</p>\n" for line in text)
    return f'<div class="columns"><div>{paragraphs}</div>\n<div>{chart}</div></div>'


def _samples(report: Report) -> str:
    chosen = choose_samples(report.evaluation.labels, report.evaluation.predicted)
    intro = f"{len(chosen)} images drawn at random."
    return f"<p>{intro}</p>\n{sheet(chosen, report.evaluation, report.images)}"
