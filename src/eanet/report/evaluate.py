"""The report on a model: figures, pictures, and a page with all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eanet.config import RUN_CONFIG, DataSettings, LayoutName
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.keeping import KEPT, locate
from eanet.deploy.module import RuntimeModule, open_model
from eanet.deploy.runtime import RuntimeName
from eanet.device import device_or_other, resolve_device
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import check_writable, replacing_together, user_path
from eanet.metrics.calibration import divide_logits, fit_temperature
from eanet.metrics.evaluation import Evaluation, evaluate_model, in_classes_of
from eanet.metrics.unknown import FALSE_REJECTIONS, NoDetectorError, fit_detector, why_none
from eanet.model_files.exported import is_exported, read_exported
from eanet.model_files.find import find_model
from eanet.model_files.weights_file import read_metadata
from eanet.models import Classifier, save_model
from eanet.report.beside import write_files
from eanet.report.page import write_page
from eanet.report.report import Report, Training
from eanet.report.selection import Selection, Split, select_images
from eanet.report.unknown import look_at
from eanet.report.views import set_views, views_metrics
from eanet.training.run_directory import RunDirectory

PAGE = "report.html"


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
            after the file, data and split.
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
    where = os.fspath(where)
    if data is not None:
        data = locate(data, _base(user_path(where)) / KEPT)
    subject = _open(where, data, split, reading, output, device, runtime)
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

    Its model gets a detector of unknown images first, if one can be fitted.
    """
    subject = _open(run, None, None, {}, None, device)
    reason = why_none(subject.selection.train, subject.selection.validation, FALSE_REJECTIONS)
    if reason is None:
        try:
            return _report(subject, false_rejections=FALSE_REJECTIONS)
        except NoDetectorError as error:
            reason = str(error)
    notice(f"the model will answer whatever an image shows: {reason}")
    return _report(subject)


@dataclass(frozen=True)
class _Subject:
    """What a report is about, opened."""

    model: Classifier | RuntimeModule
    run: RunDirectory | None
    selection: Selection
    folder: Path
    device: str
    label_smoothing: float


def _open(
    where: str | Path,
    data: str | Path | None,
    split: Split | None,
    reading: Mapping[str, str | Path | None],
    output: str | Path | None,
    device: str | None,
    runtime: RuntimeName = "auto",
) -> _Subject:
    """Open model, run and images; arguments and errors as for `evaluate`."""
    model = open_model(where, runtime, device or "auto")
    path = user_path(where)
    output = None if output is None else user_path(output)
    check_writable(_base(path) if output is None else output)
    if path.is_file() and (path.parent / RUN_CONFIG).is_file():
        notice(f"{path} does not know its training images; name {path.parent} to leave them out")
    run = RunDirectory.open(path) if (path / RUN_CONFIG).is_file() else None
    config = run.read_config() if run is not None else None
    settings = config.resolved if config is not None else None
    asked = DataSettings.parse(
        {name: value for name, value in reading.items() if value is not None}
        | {"image_size": model.config.image_size}
    )
    data_settings = (settings or DataSettings()).model_copy(
        update=asked.model_dump(exclude_unset=True)
    )
    if run is None and (data := data or _trained_on(where)) is None:
        raise EanetError(
            f"{where} does not say what it was trained on; name the images with --data"
        )
    selection = select_images(data, split, data_settings, model, run)
    folder = output if output is not None else _folder(path, selection)
    if output is None and folder != path and (folder / PAGE).is_file():
        notice(f"{folder} has an earlier report, which is replaced: --output names another folder")
    if (folder / RUN_CONFIG).is_file() and folder.resolve() != path.resolve():
        raise EanetError(f"{folder} holds another run; name another folder with --output")
    if device is not None:
        compute_device = resolve_device(device)
    else:
        compute_device = device_or_other(config.settings.device if config is not None else "auto")
    smoothing = settings.label_smoothing if settings is not None else 0.0
    return _Subject(model, run, selection, folder, compute_device, smoothing)


def _report(
    subject: _Subject,
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
        findings=_findings(subject),
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


def _findings(subject: _Subject) -> tuple[str, ...]:
    """Return what was found about the images of a run, if it is judged by them."""
    if subject.run is None or not subject.selection.of_run:
        return ()
    return subject.run.read_config().data.findings


def _changeable(model: Classifier | RuntimeModule) -> Classifier:
    """Return the model if a temperature or a detector can be fitted to it and saved with it."""
    if isinstance(model, Classifier):
        return model
    raise EanetError(
        "a temperature or a threshold is fitted in PyTorch: leave out --runtime, and name the run "
        "that an exported file is from"
    )


def _trained_on(where: str | Path) -> str | None:
    """Return what a model file says it was trained on, if it does."""
    file = user_path(where)
    found = read_exported(file).metadata if is_exported(file) else read_metadata(find_model(where))
    data = found.get("training", {}).get("data")
    return data if isinstance(data, str) else None


def _folder(path: Path, selection: Selection) -> Path:
    """Return the default folder of a report."""
    if selection.of_run and selection.split == "test":
        return path
    images = f"{selection.data}-{selection.split}"
    return _base(path) / (f"{path.name}-{images}" if path.is_file() else images)


def _base(path: Path) -> Path:
    """Return the folder of a run or file, or for other models one below ``runs``."""
    return path if path.is_dir() else path.parent if path.is_file() else Path("runs") / path.name


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


def _fit_detector(subject: _Subject, validation: ImageSet, false_rejections: float) -> None:
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
        "nll_before": before.nll,
        "ece_before": before.reliability.error,
    }
    return replace(report, evaluation=evaluation, metrics=metrics, before=before)
