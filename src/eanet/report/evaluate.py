"""The report on a model: figures, pictures, and a page with all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from eanet.config import DataSettings
from eanet.data.imageset import ImageSet
from eanet.device import device_or_other, resolve_device
from eanet.errors import EanetError
from eanet.files import check_writable, replacing_together, user_path
from eanet.metrics.calibration import divide_logits, fit_temperature
from eanet.metrics.evaluation import Evaluation, evaluate_model
from eanet.models import Classifier, load_model, save_model
from eanet.models.weights import find_model, read_metadata
from eanet.plots.confusion import plot_confusion
from eanet.plots.curves import plot_curves
from eanet.plots.lr_search import plot_range_test
from eanet.plots.reliability import plot_reliability
from eanet.plots.samples import choose_samples, plot_samples
from eanet.report.files import METRICS_FILE, write_classes, write_metrics, write_predictions
from eanet.report.page import write_page
from eanet.report.report import Report, Training
from eanet.report.selection import Selection, Split, select_images
from eanet.training.run_directory import RUN_CONFIG, RunDirectory


def evaluate(
    where: str | Path,
    *,
    data: str | Path | None = None,
    split: Split | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    device: str | None = None,
    calibrate: bool = False,
) -> Report:
    """Evaluate a model; write ``report.html``, and figures and pictures as separate files.

    Args:
        where: a run directory, a model file, a bundled model or a Hub id.
        data: a data set's name, a folder, a list or an archive; by default, what the model was
            trained on.
        split: which of its images; by default the test images or, if data other than the run's
            have none, the validation images, or else all.
        data_dir: where archives are; as for the run by default.
        output: folder to write to. The default is that of the run or file; for images other than
            the run's test images, a folder in it named after data and split.
        device: where to compute; by default as set for the run, if there is such a device.
        calibrate: fit a temperature on the validation images, divide the model's logits by it, and
            write this model into the folder of the report. For a run's own test images, that is the
            run's folder, so the run predicts calibrated probabilities from then on.

    Raises:
        EanetError: no such model or data, they do not match, the run's images have changed, or
            there are no validation images apart from those of the report.
    """
    model = load_model(where)
    path = user_path(where)
    output = None if output is None else user_path(output)
    check_writable(_base(path) if output is None else output)
    run = RunDirectory.open(path) if (path / RUN_CONFIG).is_file() else None
    config = run.read_config() if run is not None else None
    settings = config.resolved if config is not None else None
    loading: dict[str, Any] = {"image_size": model.config.image_size}
    if data_dir is not None:
        loading["data_dir"] = user_path(data_dir)
    data_settings = (settings or DataSettings()).model_copy(update=loading)
    trained_on = settings.data if settings is not None else None
    if (data := data or trained_on or _trained_on(where)) is None:
        raise EanetError(
            f"{where} does not say what it was trained on; name the images with --data"
        )
    selection = select_images(data, split, data_settings, model.config.preprocessing, run)
    folder = output if output is not None else _folder(path, selection)
    if (folder / RUN_CONFIG).is_file() and folder.resolve() != path.resolve():
        raise EanetError(f"{folder} holds another run; name another folder with --output")
    validation = _calibration_images(selection) if calibrate else None

    if device is not None:
        compute_device = resolve_device(device)
    else:
        compute_device = device_or_other(config.settings.device if config is not None else "auto")
    smoothing = settings.label_smoothing if settings is not None else 0.0
    evaluation = evaluate_model(
        model, selection.images, device=compute_device, label_smoothing=smoothing
    )
    report = Report(
        model=model.config.name,
        data=selection.data,
        split=selection.split,
        metrics=evaluation.metrics(),
        images=selection.images,
        evaluation=evaluation,
        training=Training.of(run) if run is not None else None,
        can_calibrate=selection.validation is not None and selection.split != "validation",
    )
    if validation is not None:
        held_out = evaluate_model(model, validation, device=compute_device)
        report = _calibrate(model, report, held_out)
    with replacing_together(folder):
        files = _write_files(report, folder)
        if calibrate:
            files.append(save_model(model, folder))
        files.append(write_page(report, folder / "report.html"))
    return replace(report, files=tuple(files))


def _trained_on(where: str | Path) -> str | None:
    """Return what a model file says it was trained on, if it does."""
    data = read_metadata(find_model(where)).get("training", {}).get("data")
    return data if isinstance(data, str) else None


def _folder(path: Path, selection: Selection) -> Path:
    """Return the default folder of a report."""
    is_own = selection.of_run and selection.split == "test"
    return _base(path) if is_own else _base(path) / f"{selection.data}-{selection.split}"


def _base(path: Path) -> Path:
    """Return the folder of a run or file, or for other models one below ``runs``."""
    return path if path.is_dir() else path.parent if path.is_file() else Path("runs") / path.name


def _calibration_images(selection: Selection) -> ImageSet:
    """Return the validation images, if the report is about others."""
    if selection.split == "validation":
        raise EanetError(
            "a temperature is fitted on the validation images and judged by others; "
            "leave out --calibrate or use another --split"
        )
    if selection.validation is None:
        raise EanetError(
            f"{selection.data} has no validation images to fit a temperature on; train with some "
            "(--validation-fraction), or name data that have them with --data"
        )
    return selection.validation


def _calibrate(model: Classifier, report: Report, held_out: Evaluation) -> Report:
    """Divide the model's logits by the temperature that fits ``held_out``."""
    temperature = fit_temperature(held_out.logits, held_out.labels)
    divide_logits(model, temperature)
    before = report.evaluation
    evaluation = replace(before, logits=before.logits / temperature)
    metrics = evaluation.metrics() | {
        "temperature": temperature,
        "nll_before": before.nll,
        "ece_before": before.reliability.error,
    }
    return replace(report, evaluation=evaluation, metrics=metrics, before=before)


def _write_files(report: Report, folder: Path) -> list[Path]:
    """Write the figures, and the pictures as PNG."""
    evaluation, images, training = report.evaluation, report.images, report.training
    files = [
        write_metrics(report, folder / METRICS_FILE),
        write_classes(evaluation.by_class, folder / "classes.csv"),
    ]
    if images.files is not None:
        files.append(write_predictions(evaluation, images.files, folder / "predictions.csv"))
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
        plot_samples(
            images.subset(sample).images,
            evaluation.labels[sample],
            evaluation.probabilities[sample],
            evaluation.classes,
            folder / "samples.png",
            title=title,
        ),
    ]
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
    return files
