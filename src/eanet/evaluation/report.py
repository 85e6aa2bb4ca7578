"""The report on a model: figures as JSON, pictures to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from eanet.config import TrainSettings
from eanet.data.imageset import ImageSet
from eanet.data.sources import load_dataset
from eanet.data.splits import DataOptions, Dataset
from eanet.device import resolve_device
from eanet.errors import EanetError
from eanet.evaluation.evaluate import Evaluation, evaluate, write_metrics
from eanet.evaluation.plots import choose_samples, plot_confusion, plot_curves, plot_samples
from eanet.models import load_model
from eanet.training.run_directory import SETTINGS, RunDirectory, data_options

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Report:
    """Figures of an evaluation, and the files that it wrote."""

    metrics: dict[str, float | int]
    files: tuple[Path, ...]


def write_report(
    where: str | Path,
    *,
    data: str | None = None,
    split: Split = "test",
    data_dir: Path | None = None,
    output: Path | None = None,
    device: str = "auto",
) -> Report:
    """Evaluate a model and write ``metrics.json`` and the pictures.

    Args:
        where: a run directory, a model file or a Hub id.
        data: a data set's name or a folder; that of the run unless given.
        split: which of its images.
        data_dir: where archives are; the run's unless given.
        output: folder to write to; unless given, that of the run, or a folder in it named after
            data and split where these are not the run's test images.
        device: where to compute.

    Raises:
        EanetError: no such model or data, or they do not fit each other.
    """
    model = load_model(where)
    path = Path(where)
    run = RunDirectory.open(path) if (path / SETTINGS).is_file() else None
    settings = run.read_settings()[0] if run is not None else None
    if data is None and settings is None:
        raise EanetError(f"{where} does not say what it was trained on; name the images by --data")
    name = data or (settings.data if settings is not None else "")
    dataset = _load(name, settings, data_dir, model.config.image_size)
    images = _choose(dataset, split)
    evaluation = evaluate(
        model,
        images,
        device=resolve_device(device),
        label_smoothing=settings.label_smoothing if settings is not None else 0.0,
    )
    if output is None:
        base = path if path.is_dir() else Path("runs") / path.stem
        own = settings is not None and name == settings.data and split == "test"
        output = base if own else base / f"{dataset.name}-{split}"
    about = {"model": model.config.name, "data": dataset.name, "split": split}
    files = [write_metrics(evaluation, output / "metrics.json", **about)]
    files += draw(evaluation, images, output, f"{model.config.name} on {dataset.name} ({split})")
    if run is not None and (history := run.read_history()):
        title = f"{model.config.name} on {run.read_config()['data']['name']}"
        files.append(
            plot_curves(history, output / "curves.png", title=title, best_epoch=best_epoch(history))
        )
    return Report(evaluation.metrics(), tuple(files))


def draw(evaluation: Evaluation, images: ImageSet, output: Path, title: str) -> list[Path]:
    """Write ``confusion.png`` and ``samples.png``."""
    chosen = choose_samples(evaluation.labels, evaluation.predicted)
    return [
        plot_confusion(
            evaluation.confusion(), evaluation.classes, output / "confusion.png", title=title
        ),
        plot_samples(
            images.subset(chosen).images,
            evaluation.labels[chosen],
            evaluation.probabilities[chosen],
            evaluation.classes,
            output / "samples.png",
            title=title,
        ),
    ]


def best_epoch(history: list[dict[str, float]]) -> int | None:
    """The epoch whose weights were kept: highest validation accuracy, then lowest loss."""
    rows = [row for row in history if "val_accuracy" in row]
    if not rows:
        return None
    return int(max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))["epoch"])


def _load(
    name: str, settings: TrainSettings | None, data_dir: Path | None, image_size: int
) -> Dataset:
    options = data_options(settings) if settings is not None else DataOptions()
    return load_dataset(
        name,
        replace(options, image_size=image_size, data_dir=data_dir or options.data_dir),
    )


def _choose(dataset: Dataset, split: Split) -> ImageSet:
    images = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[split]
    if images is None:
        raise EanetError(f"{dataset.name} has no {split} images; use --split test")
    return images
