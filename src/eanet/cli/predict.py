"""`eanet predict`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.progress import MofNCompleteColumn

from eanet.cli.output import is_utf8, write_rows
from eanet.cli.parser import RUN, Commands, add_images, add_runtime, add_settings
from eanet.config import MachineSettings, is_run
from eanet.console import ImagesPerSecond, notice, progress_bar
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import check_writable, user_path
from eanet.text import shown

if TYPE_CHECKING:
    from eanet.deploy.prediction import Prediction
    from eanet.deploy.predictor import Predictor
    from eanet.deploy.runtime import Runtime

NOT_SURE = "not sure"
OPTIONS = ("device", "threads")
T = TypeVar("T")


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "predict",
        run,
        "classify images",
        "eanet predict bee.jpg",
        "eanet predict runs/photos-eanet_tiny bee.jpg",
        "eanet predict runs/photos-eanet_tiny holiday/ --top 1 --format csv > holiday.csv",
        "eanet predict runs/photos-eanet_tiny holiday/ --threshold 0.8 --copy-to sorted",
    )
    command.add_argument(
        "model",
        nargs="?",
        metavar="RUN",
        help="run directory, model file, exported file (.onnx), bundled model (see `eanet models`) "
        "or Hub id; "
        "omitted: the bundled model of the 100 classes of cifar100",
    )
    add_images(command)
    command.add_argument("--top", type=int, default=5, help="classes to name (default: 5)")
    command.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="omit classes below this probability; with none left, the answer is: not sure. Images "
        "unlike those that the model was trained on are not sure either, if it measures that; 0 "
        "answers all",
    )
    command.add_argument(
        "--format",
        choices=["table", "json", "csv"],
        default="table",
        help="of the answers on stdout; json: one object per line (default: table)",
    )
    command.add_argument(
        "--copy-to",
        type=user_path,
        metavar="FOLDER",
        help=f"copy each image into FOLDER/CLASS, or FOLDER/{NOT_SURE}",
    )
    add_settings(command, {"device": RUN["device"]})
    command.add_argument("--threads", metavar="N", help="unset: one for each CPU that may be used")
    command.add_argument(
        "--precision",
        choices=["fp32", "bf16"],
        default="fp32",
        help="fp32: as in evaluation; bf16: faster where supported, probabilities differ by up to "
        "0.01 (default: fp32)",
    )
    add_runtime(command, "the fastest that is installed and worth its start")


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from eanet.data.find import find_images
    from eanet.deploy.predictor import Predictor
    from eanet.deploy.sorting import originals
    from eanet.model_files.find import DEFAULT_MODEL

    if options.top < 1:
        raise WrongArgumentError("--top takes 1 or more")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise WrongArgumentError("--threshold takes a probability, 0 to 1")
    if options.copy_to:
        check_writable(options.copy_to)
    machine = MachineSettings.parse({n: v for n in OPTIONS if (v := getattr(options, n))})
    model, images = _model_and_images(options)
    paths = find_images(images, sys.stdin)
    if options.copy_to:
        paths = originals(paths, options.copy_to)
    where = DEFAULT_MODEL if model is None else model
    predictor = Predictor(_open(where, options, machine, len(paths)))
    if model is None:
        notice(
            f"no model named before the images: using {DEFAULT_MODEL}, with "
            f"{len(predictor.classes)} classes"
        )
    failed, twice = _answer(predictor, paths, options)
    if options.copy_to:
        notice(f"{len(paths) - failed:,} of {len(paths):,} images copied to {options.copy_to}")
        if twice:
            notice(
                f"{twice:,} of them are in the folder of another answer there as well, from "
                "before: a new folder has each once"
            )
    return 1 if failed else 0


def _open(
    where: str, options: argparse.Namespace, machine: MachineSettings, images: int
) -> Runtime:
    """Open a model for so many images, and say what computes it if that was not asked for."""
    from eanet.deploy.choosing import FEW, open_runtime
    from eanet.device import keep_freed_memory
    from eanet.model_files.exported import is_exported
    from eanet.threads import available_cpus

    machine_options = (options.runtime, machine.device, options.precision)
    runtime = open_runtime(where, *machine_options, threads=machine.threads, images=images)
    if runtime.name == "torch":
        import torch

        torch.set_num_threads(machine.threads or available_cpus())
    elif options.runtime == "auto" and is_exported(where):
        notice(f"computing with {runtime.name}")
    elif options.runtime == "auto" and images >= FEW:
        notice(f"computing with {runtime.name} (--runtime torch: with PyTorch)")
    if runtime.device == "cpu":
        keep_freed_memory()
    return runtime


def _answer(
    predictor: Predictor, paths: list[Path], options: argparse.Namespace
) -> tuple[int, int]:
    """Print an answer for each image, and copy it if that was asked for.

    Returns:
        How many could not be read, and how many copies lie in another folder as well.
    """
    from eanet.deploy.sorting import copy_into, has_other_copy

    write = {"table": _write_line, "json": _write_json, "csv": _write_csv}[options.format]
    if options.format == "csv":
        write_rows([["image", "class", "probability", "sure"]])
    failed = twice = 0
    with closing(predictor.predict_files(paths, options.top)) as results:
        for path, result in _tracked(results, len(paths)):
            if isinstance(result, EanetError):
                notice(f"eanet: error: {result}")
                failed += 1
                continue
            is_sure = not result.is_unknown
            if options.threshold is not None:
                result = result.above(options.threshold)
                is_sure = result.top1 is not None and (is_sure or options.threshold == 0)
            write(path, result, is_sure)
            if options.copy_to:
                name = result.top1 if is_sure and result.top1 is not None else NOT_SURE
                twice += has_other_copy(path, copy_into(options.copy_to, name, path))
    return failed, twice


def _model_and_images(options: argparse.Namespace) -> tuple[str | None, list[str]]:
    """The model, or None if the first argument names images, and the images."""
    arguments = options.images if options.model is None else [options.model, *options.images]
    if _means_images(arguments[0]):
        return None, arguments
    first, *rest = arguments
    if not rest:
        raise WrongArgumentError(
            f"no image to classify: {first!r} is taken for a model; name images after it"
        )
    return first, rest


def _means_images(argument: str) -> bool:
    """Whether `find_images` takes this and it is not a run, whose folder also has pictures."""
    from eanet.data.archive import is_archive
    from eanet.data.layout import is_image, list_images
    from eanet.model_files.find import WEIGHTS_FILE

    path = user_path(argument)
    if argument and path.is_dir():
        is_model = is_run(path) or (path / WEIGHTS_FILE).is_file()
        return not is_model and bool(list_images(path))
    is_pattern = not path.exists() and any(sign in argument for sign in "*?[")
    return argument == "-" or is_image(path) or is_archive(path) or is_pattern


def _tracked(results: Iterable[T], total: int) -> Iterator[T]:
    """Show a progress bar, unless the answers themselves go to the terminal."""
    if sys.stdout.isatty():
        yield from results
        return
    with progress_bar(MofNCompleteColumn(), ImagesPerSecond()) as bar:
        yield from bar.track(results, total, description="predicting")


def _write_line(path: Path, result: Prediction, is_sure: bool) -> None:
    named = ", ".join(f"{name} {probability:.1%}" for name, probability in _pairs(result))
    answer = named if is_sure else f"{NOT_SURE} ({named})" if named else NOT_SURE
    sys.stdout.write(shown(f"{path}: {answer}") + "\n")


def _write_json(path: Path, result: Prediction, is_sure: bool) -> None:
    line = {
        "image": str(path),
        "sure": is_sure,
        "predictions": [{"class": n, "probability": round(p, 6)} for n, p in _pairs(result)],
    }
    if result.distance is not None:
        line["distance"] = round(result.distance, 4)
    text = json.dumps(line, ensure_ascii=False)
    # Bytes that are not UTF-8 have to be escaped, and control characters should be. JSON is UTF-8:
    # in a locale of another encoding, only ASCII is.
    is_plain = text.isprintable() and is_utf8(sys.stdout)
    sys.stdout.write((text if is_plain else json.dumps(line)) + "\n")


def _write_csv(path: Path, result: Prediction, is_sure: bool) -> None:
    sure = str(is_sure).lower()
    rows = [(path, name, f"{p:.6f}", sure) for name, p in _pairs(result)]
    write_rows(rows or [(path, "", "", sure)])


def _pairs(result: Prediction) -> Iterator[tuple[str, float]]:
    return zip(result.classes, result.probabilities, strict=True)
