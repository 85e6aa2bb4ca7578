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
    )
    command.add_argument(
        "model", metavar="RUN", help="run directory, model file, bundled model or Hub id"
    )
    command.add_argument(
        "--format",
        default="onnx",
        metavar="FORMAT",
        help="onnx (default)",
    )
    command.add_argument(
        "--output",
        type=user_path,
        metavar="FILE",
        help="file to write; unset: model.onnx in the run directory, or named after the model; "
        "only what was exported before is replaced",
    )


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.api import export

    result = export(options.model, format=options.format, output=options.output)
    out = stdout()
    out.print(f"wrote {result.path} ({result.size / 1e6:.2f} MB)")
