"""`eanet export`."""

from __future__ import annotations

import argparse

from eanet.cli.output import stdout
from eanet.cli.parser import Commands
from eanet.files import user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "export",
        run,
        "write a model to a file for other programs, with its preprocessing inside",
        "eanet export runs/photos-eanet_tiny",
        "eanet export eanet_tiny_cifar100 --output model.onnx",
        "eanet export runs/photos-eanet_tiny --format web",
    )
    command.add_argument(
        "model", metavar="RUN", help="run directory, model file, bundled model or Hub id"
    )
    command.add_argument(
        "--format",
        default="onnx",
        metavar="FORMAT",
        help="onnx (default); web: a folder with a page that classifies photographs in the browser",
    )
    command.add_argument(
        "--output",
        type=user_path,
        metavar="PATH",
        help="file or folder to write; unset: model.onnx or web in the run directory, or named "
        "after the model; only what was exported before is replaced",
    )
    command.add_argument(
        "--runtime",
        type=user_path,
        metavar="FOLDER",
        help="for web: copy this unpacked npm package onnxruntime-web into the folder; unset: the "
        "page loads it from cdn.jsdelivr.net",
    )


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.api import export

    result = export(
        options.model, format=options.format, output=options.output, runtime=options.runtime
    )
    out = stdout()
    out.print(f"wrote {result.path} ({result.size / 1e6:.2f} MB)")
