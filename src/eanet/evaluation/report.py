"""The report on a model: figures as JSON, pictures to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.sources import load_dataset, load_source, locate
from eanet.data.splits import DataOptions
from eanet.device import resolve_device
from eanet.errors import EanetError, unknown_name
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
    data: str | Path | None = None,
    split: Split | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    device: str | None = None,
) -> Report:
    """Evaluate a model and write ``metrics.json`` and the pictures.

    Args:
        where: a run directory, a model file or a Hub id.
        data: a data set's name or a folder; that of the run unless given.
        split: which of its images; the test images unless given, or all images of other data
            that have no test images of their own.
        data_dir: where archives are; the run's unless given.
        output: folder to write to; unless given, that of the run or file, or a folder in it named
            after data and split where these are not the run's test images.
        device: where to compute; as the run was told unless given.

    Raises:
        EanetError: no such model or data, or they do not fit each other.
    """
    model = load_model(where)
    path = Path(where)
    run = RunDirectory.open(path) if (path / SETTINGS).is_file() else None
    settings = run.read_settings()[0] if run is not None else None
    options = replace(
        data_options(settings) if settings is not None else DataOptions(),
        image_size=model.config.image_size,
    )
    if data_dir is not None:
        options = replace(options, data_dir=Path(data_dir))
    if settings is not None and (data is None or locate(data) == settings.data):
        name, chosen, images = _of_the_run(settings.data, options, split)
        own = chosen == "test"
    elif data is not None:
        name, chosen, images = _of_others(data, options, split)
        own = False
    else:
        raise EanetError(f"{where} does not say what it was trained on; name the images by --data")
    evaluation = evaluate(
        model,
        images,
        device=resolve_device(device or (settings.device if settings is not None else "auto")),
        label_smoothing=settings.label_smoothing if settings is not None else 0.0,
    )
    if output is None:
        base = (
            path if path.is_dir() else path.parent if path.is_file() else Path("runs") / path.name
        )
        output = base if own else base / f"{name}-{chosen}"
    output = Path(output)
    about = {"model": model.config.name, "data": name, "split": chosen}
    files = [write_metrics(evaluation, output / "metrics.json", **about)]
    files += draw(evaluation, images, output, f"{model.config.name} on {name} ({chosen})")
    if run is not None and (history := run.read_history()):
        title = f"{model.config.name} on {run.read_config()['data']['name']}"
        files.append(
            plot_curves(history, output / "curves.png", title=title, best_epoch=best_epoch(history))
        )
    return Report(evaluation.metrics(), tuple(files))


Chosen = tuple[str, str, ImageSet]
"""The data's name, which of its images, and these."""


def _of_the_run(data: str, options: DataOptions, split: Split | None) -> Chosen:
    """Images that the run was split into when it was trained."""
    dataset = load_dataset(data, options)
    sets = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return dataset.name, *_choose(sets, split or "test", dataset.name)


def _of_others(data: str | Path, options: DataOptions, split: Split | None) -> Chosen:
    """Images that the model has not met: those of a split, or all where there is none."""
    name, own = load_source(data, options)
    for note in own.notes:
        notice(note)
    if split is None and own.test is None:
        return name, "all", own.train
    sets = {"train": own.train, "validation": own.validation, "test": own.test}
    return name, *_choose(sets, split or "test", name)


def _choose(sets: Mapping[str, ImageSet | None], split: str, name: str) -> tuple[str, ImageSet]:
    if split not in sets:
        raise unknown_name("split", split, sets)
    images = sets[split]
    if images is None:
        there = " or ".join(key for key, value in sets.items() if value is not None)
        raise EanetError(f"{name} has no {split} images; use --split {there}")
    return split, images


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
