"""`eanet predict`."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from rich.progress import MofNCompleteColumn

from eanet.cli.output import write_rows
from eanet.cli.parser import RUN, Commands, add_settings
from eanet.console import ImagesPerSecond, notice, progress_bar
from eanet.errors import EanetError, WrongArgumentError

UNCERTAIN = "uncertain"
T = TypeVar("T")


def add(commands: Commands) -> None:
    """Declare the command."""
    made = commands.add(
        "predict",
        run,
        "name the classes of images",
        "eanet predict runs/photos-keras_eanet bee.jpg",
        "eanet predict runs/photos-keras_eanet holiday/ --top 1 --format csv > holiday.csv",
        "eanet predict runs/photos-keras_eanet holiday/ --threshold 0.8 --copy-to sorted",
    )
    made.add_argument("model", metavar="RUN", help="run directory, model file or Hub id")
    made.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="files, folders, archives, patterns; - for a list on stdin",
    )
    made.add_argument("--top", type=int, default=5, help="classes to name (default: 5)")
    made.add_argument(
        "--threshold",
        type=float,
        default=0.0,
        metavar="P",
        help="name only classes at least so probable; an image without any is uncertain",
    )
    made.add_argument("--format", choices=["table", "json", "csv"], default="table")
    made.add_argument(
        "--copy-to",
        type=Path,
        metavar="FOLDER",
        help=f"copy each image into the folder of its class there, or into {UNCERTAIN}",
    )
    add_settings(made, {"device": RUN["device"]})


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from eanet.deploy.predictor import find_images, load
    from eanet.deploy.sorting import copy_into

    if options.top < 1:
        raise WrongArgumentError("--top takes 1 or more")
    if not 0 <= options.threshold <= 1:
        raise WrongArgumentError("--threshold takes a probability, 0 to 1")
    predictor = load(options.model, options.device or "auto")
    paths = find_images(options.images, sys.stdin)
    write = {"table": _write_line, "json": _write_json, "csv": _write_csv}[options.format]
    if options.format == "csv":
        write_rows([["image", "class", "probability"]])
    failed = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd files that it reads all the same
        for path, answer in _tracked(predictor.predict_files(paths, options.top), len(paths)):
            if isinstance(answer, EanetError):
                notice(f"eanet: error: {answer}")
                failed += 1
                continue
            sure = answer.above(options.threshold)
            write(path, list(zip(sure.classes, sure.probabilities, strict=True)))
            if options.copy_to:
                copy_into(options.copy_to, sure.top1 or UNCERTAIN, path)
    if options.copy_to:
        notice(f"{len(paths) - failed:,} of {len(paths):,} images copied to {options.copy_to}")
    return 1 if failed else 0


def _tracked(answers: Iterable[T], total: int) -> Iterator[T]:
    """The same behind a progress bar, unless the answers themselves scroll by on the terminal."""
    if sys.stdout.isatty():
        yield from answers
        return
    with progress_bar(MofNCompleteColumn(), ImagesPerSecond()) as bar:
        yield from bar.track(answers, total, description="predicting")


def _write_line(path: Path, answer: list[tuple[str, float]]) -> None:
    named = ", ".join(f"{name} {probability:.1%}" for name, probability in answer)
    sys.stdout.write(f"{path}: {named or UNCERTAIN}\n")


def _write_json(path: Path, answer: list[tuple[str, float]]) -> None:
    named = [{"class": name, "probability": round(p, 6)} for name, p in answer]
    line = {"image": str(path), "predictions": named}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_csv(path: Path, answer: list[tuple[str, float]]) -> None:
    write_rows([(path, name, f"{p:.6f}") for name, p in answer] or [(path, "", "")])
