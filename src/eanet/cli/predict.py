"""`eanet predict`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from eanet.cli.output import write_rows
from eanet.cli.parser import RUN, Commands, add_settings
from eanet.console import notice
from eanet.errors import EanetError, WrongArgumentError


def add(commands: Commands) -> None:
    """Declare the command."""
    made = commands.add(
        "predict",
        run,
        "name the classes of images",
        "eanet predict runs/photos-keras_eanet bee.jpg",
        "eanet predict runs/photos-keras_eanet holiday/ --top 1 --format csv",
    )
    made.add_argument("model", metavar="RUN", help="run directory, model file or Hub id")
    made.add_argument(
        "images", nargs="+", metavar="IMAGE", help="files, folders, patterns; - for a list on stdin"
    )
    made.add_argument("--top", type=int, default=5, help="classes to name (default: 5)")
    made.add_argument("--format", choices=["table", "json", "csv"], default="table")
    add_settings(made, {"device": RUN["device"]})


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from eanet.deploy.predictor import find_images, load

    if options.top < 1:
        raise WrongArgumentError("--top takes 1 or more")
    predictor = load(options.model, options.device or "auto")
    paths = find_images(options.images, sys.stdin)
    write = {"table": _write_line, "json": _write_json, "csv": _write_csv}[options.format]
    if options.format == "csv":
        write_rows([["image", "class", "probability"]])
    failed = 0
    for path, answer in predictor.predict_files(paths, options.top):
        if isinstance(answer, EanetError):
            notice(f"eanet: error: {answer}")
            failed += 1
        else:
            write(path, list(zip(answer.classes, answer.probabilities, strict=True)))
    return 1 if failed else 0


def _write_line(path: Path, answer: list[tuple[str, float]]) -> None:
    named = ", ".join(f"{name} {probability:.1%}" for name, probability in answer)
    sys.stdout.write(f"{path}: {named}\n")


def _write_json(path: Path, answer: list[tuple[str, float]]) -> None:
    named = [{"class": name, "probability": round(p, 6)} for name, p in answer]
    line = {"image": str(path), "predictions": named}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_csv(path: Path, answer: list[tuple[str, float]]) -> None:
    write_rows([path, name, f"{p:.6f}"] for name, p in answer)
