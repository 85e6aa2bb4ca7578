"""The Python API: what the commands do, as functions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from eanet.config import RUNS, DataSettings, MachineSettings, TrainSettings
from eanet.console import notice
from eanet.errors import WrongArgumentError, unknown_name
from eanet.files import cache_dir, user_path
from eanet.options import (
    AppOptions,
    DataOptions,
    ResumeOptions,
    ServeOptions,
    SharedOptions,
    TrainOptions,
)
from eanet.parsing import run_name

if TYPE_CHECKING:
    from fastapi import FastAPI

    from eanet.comparison.compare import Comparison
    from eanet.data.splits import Dataset
    from eanet.deploy.export.export import Export
    from eanet.deploy.predictor import Predictor
    from eanet.deploy.runtime import RuntimeName
    from eanet.deploy.server.settings import AppSettings
    from eanet.explanation.files import Pictures
    from eanet.report.result import TrainingResult
    from eanet.training.run_directory import RunDirectory

Run = str | os.PathLike[str]  # also what `train` returns

# What a resumed run may change.
RESUME_SETTINGS = ("data", "epochs", *MachineSettings.model_fields)


def train(data: Any = "digits", **settings: Unpack[TrainOptions]) -> TrainingResult:
    """Train a classifier, evaluate it on the test images and draw the figures.

    PyTorch's random generators and number of threads, warning filters, logging and environment
    variables are afterwards as before: see `eanet.training.engine.compute_environment`.

    Args:
        data: ``digits``, ``cifar10``, ``cifar100``, ``tiny-imagenet``, a folder, a list or an
            archive of images. Or in memory: ``(images, labels)``, each an array or a list; a
            DataFrame with the columns ``path`` and ``label``; a `datasets.Dataset`; a torch
            ``Dataset`` of pairs; or a dictionary of these by split. They are written beside the
            runs, for later commands.
        **settings: any field of `eanet.config.TrainSettings`, such as ``model``, ``recipe``,
            ``epochs``, ``batch_size`` or ``seed``. Others are chosen to suit the images or taken
            from the recipe; ``None`` unsets one.

    Raises:
        EanetError: anything that the caller can fix, in one line.
        KeyboardInterrupt: after Ctrl-C; the run is saved, and `resume` continues it.

    Examples:
        >>> import eanet
        >>> result = eanet.train("digits", model="keras_mlp", epochs=2, name="first")
        >>> result.path
        PosixPath('runs/first')
        >>> 0 <= result.metrics["top1"] <= 1
        True
        >>> list(result.history["epoch"])
        [1, 2]
    """
    from eanet.data.keeping import KEPT, locate
    from eanet.training.launch import launch

    checked = TrainSettings.with_recipe(**settings)
    located = {"data": locate(data, checked.output / KEPT)}
    return _finish(launch(checked.model_copy(update=located)))


def resume(run: Run, **settings: Unpack[ResumeOptions]) -> TrainingResult:
    """Resume an interrupted training with its own settings, or train a finished one for longer.

    Args:
        run: the run directory, or what `train` returned.
        **settings: ``data``, if the images have moved; ``epochs``, to train for more in all than
            the run was begun with (see `eanet.training.extend.extend`); ``device``, ``precision``,
            ``compile`` or ``threads``, to override the run's own.

    Raises:
        EanetError: there is no such run, its images have changed, or a setting must not change.
        KeyboardInterrupt: as in `train`.

    Examples:
        >>> result = eanet.resume("runs/first", epochs=3)
        >>> list(result.history["epoch"])
        [1, 2, 3]
    """
    from eanet.training.resume import resume as resume_run

    for name in settings:
        if name in TrainSettings.model_fields and name not in RESUME_SETTINGS:
            raise WrongArgumentError(f"a resumed run keeps its own settings; leave out {name}")
        if name not in RESUME_SETTINGS:
            raise unknown_name("setting of a resumed run", name, RESUME_SETTINGS)
    checked = TrainSettings.parse({name: x for name, x in settings.items() if x is not None})
    return _finish(resume_run(user_path(run_name(run)), **checked.given()), settings.get("device"))


def compare(
    *models: Run | Iterable[Run],
    data: Any = None,
    seeds: int | None = None,
    output: str | Path | None = None,
    **settings: Unpack[SharedOptions],
) -> Comparison:
    """Train models under the same conditions and compare them, or compare finished runs.

    Each training runs in its own process, which imports the main module again. A script must
    therefore call this under ``if __name__ == "__main__":``.

    Args:
        *models: names of models, or runs; also as one list.
        data: as for `train`; ``digits`` unless given.
        seeds: number of runs of each model, with the seeds 0, 1, ...; 3 unless given.
        output: folder for the runs and the comparison; unless given, named after the data and the
            recipe, or after the runs. A comparison with the same settings is resumed.
        **settings: any other field of `eanet.config.TrainSettings` except ``model``, ``seed``,
            ``init`` and ``name``, the same for all runs.

    Raises:
        EanetError: anything that the caller can fix, in one line.
        KeyboardInterrupt: after Ctrl-C; the same call resumes.

    Examples:
        Finished runs, here of one model with two learning rates; names of models are trained first.

        >>> settings = {"model": "keras_mlp", "epochs": 3, "learning_rate": 0.01}
        >>> other = eanet.train("digits", name="second", **settings)
        >>> comparison = eanet.compare("runs/first", other)
        >>> list(comparison.table["model"])
        ['first', 'second']
    """
    from eanet.comparison.compare import compare_models
    from eanet.data.keeping import KEPT, locate
    from eanet.report.evaluate import evaluate_trained

    located = {} if data is None else {"data": locate(data, RUNS / KEPT)}
    return compare_models(
        models, evaluate=evaluate_trained, seeds=seeds, output=output, **located, **settings
    )


def load_dataset(data: Any = "digits", **settings: Unpack[DataOptions]) -> Dataset:
    """Load the images of a data set, for a loop of one's own.

    Args:
        data: as for `train`.
        **settings: any field of `eanet.config.DataSettings`, such as ``image_size``, ``fit``,
            ``group``, ``validation_fraction`` or ``split_seed``, as in `train`. Unless given,
            ``image_size`` is what `train` chooses on a CPU: 64 for photographs, about that of the
            images if they are smaller than 48 pixels.

    Returns:
        The data set, with ``train``, ``validation`` (None if there is none) and ``test``, each an
        `eanet.data.imageset.ImageSet`, which a `torch.utils.data.DataLoader` takes.

    Raises:
        EanetError: there is no such data set or setting, or the images cannot be loaded.

    Examples:
        >>> data = eanet.load_dataset("digits")
        >>> data.train
        ImageSet(1,293 images of 8 x 8 pixels in 10 classes)
        >>> pixels, label = data.train[0]
        >>> pixels.shape, data.train.classes[label]
        ((3, 8, 8), '0')
    """
    from eanet.data.keeping import KEPT, locate
    from eanet.data.source import open_source
    from eanet.training.defaults import suitable_size

    checked = DataSettings.parse(settings)
    if not isinstance(data, str | os.PathLike):  # else no cache is needed
        data = locate(data, cache_dir() / KEPT)
    source = open_source(os.fspath(data))
    if checked.image_size is None and source.path is not None:
        size = suitable_size(source.statistics(checked), checked.fit)
        checked = checked.model_copy(update={"image_size": size})
    return source.load(checked)


def explain(
    run: Run,
    images: Any,
    *,
    output: str | Path | None = None,
    class_name: str | None = None,
    layer: int | None = None,
    slots: int = 6,
    neighbours: int = 0,
    device: str = "auto",
    runtime: RuntimeName = "auto",
) -> Pictures:
    """Draw what a model attends to and bases its answers on: one picture per image.

    Args:
        run: a run directory, a model file, an exported file, a bundled model or a Hub id.
        images: one or several: files, folders, archives, patterns, open files, Pillow images, or
            arrays (H, W) or (H, W, 3).
        output: folder for the pictures, in which nothing is overwritten; unless given, ``explain``
            in the run directory, or ``./explain`` if ``run`` is not a folder.
        class_name: class to explain; unless given, the most probable class of each image.
        layer: block, counted from 1, whose attention is shown; unless given, the last with any.
        slots: number of memory slots to show, the strongest first.
        neighbours: number of training images to show, at most 12, that are most like the image to
            the model, of a run whose images are still there.
        device: where to compute.
        runtime: library to compute with; ``auto``: PyTorch, except for exported files. Others show
            no attention.

    Returns:
        The paths of the pictures, which a notebook shows. Files that cannot be read are named on
        standard error and skipped.

    Raises:
        EanetError: there is no such model, image, class or layer.

    Examples:
        >>> image = eanet.load_dataset("digits").test.images[0]
        >>> eanet.explain("runs/first", image)
        (PosixPath('runs/first/explain/image.png'),)
    """
    from eanet.explanation.files import explain_files

    return explain_files(
        run_name(run),
        images,
        output=output,
        class_name=class_name,
        layer=layer,
        slots=slots,
        neighbours=neighbours,
        device=device,
        runtime=runtime,
    ).pictures


def export(
    run: Run,
    *,
    format: str = "onnx",  # noqa: A002 (what users expect it to be called)
    int8: bool = False,
    output: str | Path | None = None,
    runtime: str | Path | None = None,
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Export:
    """Export a trained model to a file that other programs can use, with its preprocessing inside.

    The answers of the file are compared with those of the model on up to 256 images, from the
    original files on: the run's test images, else its validation images, else parts of two
    photographs.

    Args:
        run: a run directory, a model file, a bundled model or a Hub id.
        format: ``onnx``: for ONNX Runtime, OpenVINO and others; ``web``: a folder with a page that
            classifies photographs in the browser; both need the packages onnx,
            onnxscript and onnxruntime. ``torch``: for `torch.export.load`.
        int8: for ``onnx``: compute in 8 bits, with ranges found on training images. The accuracy
            that this costs is measured on the validation images, else on the test images.
        output: the file or folder; unless given, ``model.onnx``, ``model-int8.onnx``, ``model.pt2``
            or ``web`` in the run directory, or named after the model: beside its file, else in the
            current folder. Only what `export` has written is replaced.
        runtime: for ``web``: an unpacked npm package onnxruntime-web, to be copied into the folder;
            unless given, the page loads it from cdn.jsdelivr.net.
        data: a data set's name, a folder, a list or an archive, in place of the run's own.
        data_dir: where archives are; as for the run by default.

    Raises:
        EanetError: there is no such model, format or data, the packages for it are missing, or the
            file cannot be written.

    Examples:
        >>> eanet.export("runs/first", format="torch").path
        PosixPath('runs/first/model.pt2')
    """
    from eanet.deploy.export.export import export_model
    from eanet.report.quantization import measure_loss
    from eanet.report.selection import model_images

    run = run_name(run)
    find = partial(model_images, run, data=data, data_dir=data_dir)
    return export_model(
        run,
        find,
        measure_loss,
        file_format=format,
        int8=int8,
        output=output,
        runtime=runtime,
        named=data is not None,
    )


def serve(run: Run, **settings: Unpack[ServeOptions]) -> None:
    """Answer with a model over HTTP until Ctrl-C: a page for photographs, and an interface.

    Args:
        run: a run directory, a model file, an exported file, a bundled model or a Hub id.
        **settings: any field of `eanet.deploy.server.settings.ServeSettings`: ``host``, ``port``,
            ``workers``, ``threads``, ``threshold``, ``device``, ``precision``, ``runtime``,
            ``allow_host``, ``allow_origin`` and limits. With several workers, each imports the main
            module again, so a script calls this under ``if __name__ == "__main__":``.

    Raises:
        EanetError: there is no such model or setting, the address cannot be used, or FastAPI or
            uvicorn is missing.

    Examples:
        >>> eanet.serve("runs/first", port=8000)  # doctest: +SKIP
    """
    from eanet.deploy.server import check_installed
    from eanet.deploy.server.settings import ServeSettings
    from eanet.model_files.exported import is_exported
    from eanet.model_files.find import find_model

    check_installed()
    chosen, where = ServeSettings.parse(settings), run_name(run)
    if not is_exported(where):
        find_model(where)  # or what is wrong is said now
    notice(f"loading {where}; the address follows")
    from eanet.deploy.server.run import serve_app

    serve_app(partial(_make_app, where, chosen), chosen)


def create_app(run: Run | Predictor, **settings: Unpack[AppOptions]) -> FastAPI:
    """Make the application that `serve` serves, to mount it in one of your own.

    Args:
        run: a run directory, a model file, a bundled model, a Hub id, or what `load` returned.
        **settings: any field of `eanet.deploy.server.settings.AppSettings`: ``threshold``,
            ``device``, ``precision``, ``runtime``, ``allow_host``, ``allow_origin`` and limits.
            What `load` returned keeps its own device, precision and runtime.

    Raises:
        EanetError: there is no such model or setting, or FastAPI is missing.

    Examples:
        >>> app = eanet.create_app("runs/first")
        >>> app.title
        'eanet: keras_mlp'
    """
    from eanet.deploy.server import check_installed
    from eanet.deploy.server.settings import AppSettings

    check_installed()
    chosen = AppSettings.parse(settings)
    if isinstance(run, str | os.PathLike):
        return _make_app(run_name(run), chosen)
    if fixed := [name for name in ("runtime", "device", "precision") if name in settings]:
        raise WrongArgumentError(
            f"a model that is loaded keeps its {', '.join(fixed)}: give that to eanet.load"
        )
    return _make_app(run, chosen)


def _make_app(run: str | Path | Predictor, settings: AppSettings) -> FastAPI:
    from eanet.deploy.choosing import open_runtime
    from eanet.deploy.predictor import Predictor
    from eanet.deploy.server.app import create_app
    from eanet.explanation.png import explain_as_png
    from eanet.report.files import read_metrics

    if isinstance(run, Predictor):
        return create_app(run, settings, explain=explain_as_png)
    runtime = open_runtime(
        run,
        settings.runtime,
        settings.device,
        settings.precision,
        threads=settings.threads_each,
    )
    predictor = Predictor(runtime, where=run)
    return create_app(predictor, settings, explain=explain_as_png, metrics=read_metrics(run))


def _finish(run: RunDirectory, device: str | None = None) -> TrainingResult:
    """Evaluate in the first process; the others of a distributed run return empty results."""
    from torch import distributed

    from eanet.report.evaluate import evaluate_trained
    from eanet.report.result import TrainingResult
    from eanet.training.engine import compute_environment

    if distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0:
        return TrainingResult(run.path, {}, (), [])
    with compute_environment(run.read_config().resolved):
        report = evaluate_trained(run.path, device=device)
    return TrainingResult(run.path, dict(report.metrics), report.files, run.read_history())
