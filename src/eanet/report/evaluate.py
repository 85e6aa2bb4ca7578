"""The report on a model: figures, pictures, and a page with all of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from eanet.config import LayoutName
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.keeping import KEPT, locate
from eanet.deploy.module import RuntimeModule
from eanet.deploy.runtime import RuntimeName
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import replacing_together, user_path
from eanet.metrics.calibration import divide_logits, fit_temperature
from eanet.metrics.evaluation import Evaluation, evaluate_model, in_classes_of
from eanet.metrics.unknown import NoDetectorError, fit_detector, why_none
from eanet.models import Classifier, save_model
from eanet.models.unknown import FALSE_REJECTIONS
from eanet.parsing import run_name
from eanet.report.beside import write_files
from eanet.report.page import write_page
from eanet.report.report import Report, Training
from eanet.report.selection import Selection, Split
from eanet.report.subject import PAGE, Subject, base_folder, open_subject
from eanet.report.unknown import look_at
from eanet.report.views import set_views, views_metrics


def evaluate(
    where: str | os.PathLike[str],
    *,
    data: Any = None,
    split: Split | None = None,
    layout: LayoutName | None = None,
    names: str | Path | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    device: str | None = None,
    calibrate: bool = False,
    unknown: str | Path | None = None,
    false_rejections: float | None = None,
    views: int | None = None,
    runtime: RuntimeName = "auto",
) -> Report:
    """Evaluate a model; write ``report.html``, and figures and pictures as separate files.

    Args:
        where: a run directory or what `train` returned, a model file, an exported file, a bundled
            model or a Hub id.
        data: a data set's name, a folder, a list, an archive or data in memory, as for `train`; by
            default, what the model was trained on.
        split: which of its images; by default the test images or, if data other than the run's
            have none, the validation images, or else all.
        layout: how a folder is read; as for the run by default.
        names: a file with the names of classes that are numbers; as for the run by default.
        data_dir: where archives are; as for the run by default.
        output: folder to write to. The default for a run's own test images is that of the run; for
            others, a folder in it named after data and split; for a file, one beside it, named
            after the file, data and split; for a bundled model or a Hub id, one in ``runs/NAME``.
        device: where to compute; by default as set for the run, if there is such a device.
        calibrate: fit a temperature on the validation images, divide the model's logits by it, and
            write this model into the folder of the report. For a run's own test images, that is the
            run's folder, so the run predicts calibrated probabilities from then on.
        unknown: a folder, an archive or an image of things that the model does not know; the report
            then says how many of them it rejects. A model without a detector of unknown images is
            given one, as by ``false_rejections``.
        false_rejections: give the model a detector that takes at most this share of images of the
            known classes for unknown ones (see `eanet.metrics.unknown.fit_detector`), and write
            this model into the folder of the report. A training does so with 0.05.
        views: let the model answer for 2 (with its mirror image), 5 (shifted to four sides) or 10
            (both) views of an image and average the logits, or for 1 again; write this model into
            the folder of the report, so that predictions and exported files of it do the same. The
            report says what it gains and costs.
        runtime: what computes, as for `eanet.load`; ``auto``: PyTorch, except for exported files.

    Raises:
        EanetError: no such model or data, they do not match, the run's images have changed, or
            there are no validation images apart from those of the report.

    Examples:
        >>> report = eanet.evaluate("runs/first")
        >>> low, high = report.metrics["top1_low"], report.metrics["top1_high"]
        >>> 0 <= low <= report.metrics["top1"] <= high <= 1
        True
        >>> sorted(report.predictions)[-2:]
        ['probability', 'true']
    """
    if false_rejections is not None and not 0 < false_rejections <= 0.5:
        raise WrongArgumentError("false_rejections takes a share above 0, at most 0.5")
    reading = {"layout": layout, "names": names, "data_dir": data_dir}
    run = run_name(where)
    if data is not None:
        data = locate(data, base_folder(user_path(run)) / KEPT)
    subject = open_subject(run, data, split, reading, output, device, runtime)
    if unknown is not None and subject.model.detector is None and false_rejections is None:
        false_rejections = FALSE_REJECTIONS
    others = None if unknown is None else user_path(unknown)
    return _report(
        subject,
        calibrate=calibrate,
        others=others,
        false_rejections=false_rejections,
        views=views,
    )


def evaluate_trained(run: str | Path, *, device: str | None = None) -> Report:
    """Evaluate a run whose training is over, as `evaluate` does.

    Its model gets a detector of unknown images first, if one can be fitted and it has none: one
    that it has was fitted to the same weights, maybe as somebody asked for.
    """
    subject = open_subject(run, None, None, {}, None, device)
    if subject.model.detector is not None:
        return _report(subject)
    reason = why_none(subject.selection.train, subject.selection.validation, FALSE_REJECTIONS)
    if reason is None:
        try:
            return _report(subject, false_rejections=FALSE_REJECTIONS)
        except NoDetectorError as error:
            reason = str(error)
    notice(f"the model will answer whatever an image shows: {reason}")
    return _report(subject)


def _report(
    subject: Subject,
    *,
    calibrate: bool = False,
    others: Path | None = None,
    false_rejections: float | None = None,
    views: int | None = None,
) -> Report:
    """Change the model as asked, evaluate it, and write the files."""
    model, selection, folder = subject.model, subject.selection, subject.folder
    device = subject.device
    if is_changed := calibrate or false_rejections is not None or views is not None:
        _changeable(model)
    if views is not None:
        training = None if subject.run is None else subject.run.read_config().resolved
        set_views(_changeable(model), views, training)
    validation = _held_out(selection, "--calibrate") if calibrate else None
    if false_rejections is not None:
        chosen_on = _held_out(selection, "--unknown and --false-rejections")
        _fit_detector(subject, chosen_on, false_rejections)
    evaluation = evaluate_model(
        model, selection.images, device=device, label_smoothing=subject.label_smoothing
    )
    images = in_classes_of(model.classes, selection.images)
    report = Report(
        model=model.config.name,
        data=selection.data,
        split=selection.split,
        metrics=evaluation.metrics() | ({"views": model.views} if model.views > 1 else {}),
        images=images,
        evaluation=evaluation,
        training=Training.of(subject.run) if subject.run is not None else None,
        can_calibrate=selection.validation is not None and selection.split != "validation",
        detector=model.detector.fit if model.detector and evaluation.distance is not None else None,
        no_detector=why_none(selection.train, selection.validation, FALSE_REJECTIONS),
        findings=subject.findings,
    )
    if validation is not None:
        held_out = evaluate_model(model, validation, device=device)
        report = _calibrate(_changeable(model), report, held_out)
    if views is not None and views > 1:
        gain = views_metrics(_changeable(model), selection.images, evaluation, device)
        report = replace(report, metrics={**report.metrics, **gain})
    if others is not None and evaluation.distance is not None:
        pictures = look_at(others, model, device)
        metrics = {**report.metrics, **pictures.metrics(evaluation.distance)}
        report = replace(report, others=pictures, metrics=metrics)
    with replacing_together(folder):
        files = write_files(report, folder)
        if is_changed:
            files.append(save_model(_changeable(model), folder))
        files.append(write_page(report, folder / PAGE))
    return replace(report, files=tuple(files))


def _changeable(model: Classifier | RuntimeModule) -> Classifier:
    """Return the model if a temperature or a detector can be fitted to it and saved with it."""
    if isinstance(model, Classifier):
        return model
    raise EanetError(
        "a temperature or a threshold is fitted in PyTorch: leave out --runtime, and name the run "
        "that an exported file is from"
    )


def _held_out(selection: Selection, option: str) -> ImageSet:
    """Return the validation images, if the report is about others."""
    if selection.split == "validation":
        raise EanetError(
            "the model is fitted to the validation images and judged by others; "
            f"leave out {option} or use another --split"
        )
    if selection.validation is None:
        raise EanetError(
            f"{selection.data} has no validation images to fit the model to; train with some "
            "(--validation-fraction), or name data that have them with --data"
        )
    return selection.validation


def _fit_detector(subject: Subject, validation: ImageSet, false_rejections: float) -> None:
    train = subject.selection.train
    if subject.run is None:
        notice(
            "it is not known whether the model was trained on these validation images: if it was, "
            "more known images are rejected than asked for, as the report's test images show"
        )
    if train is None:
        raise EanetError(f"{subject.selection.data} has no training images to measure from")
    fit_detector(
        _changeable(subject.model),
        in_classes_of(subject.model.classes, train),
        validation,
        false_rejections=false_rejections,
        device=subject.device,
    )


def _calibrate(model: Classifier, report: Report, held_out: Evaluation) -> Report:
    """Divide the model's logits by the temperature that fits ``held_out``."""
    temperature = fit_temperature(held_out.logits, held_out.labels)
    divide_logits(model, temperature)
    before = report.evaluation
    evaluation = replace(before, logits=before.logits / temperature)
    metrics = {
        **report.metrics,
        **evaluation.metrics(),
        "temperature": temperature,
        "temperature_images": len(held_out.labels),
        "nll_before": before.nll,
        "ece_before": before.reliability.error,
    }
    return replace(report, evaluation=evaluation, metrics=metrics, before=before)
