"""`eanet export`."""

from __future__ import annotations

import argparse
import shlex

from eanet.cli.output import stdout
from eanet.cli.parser import RUN, Commands, add_settings
from eanet.files import user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "export",
        run,
        "write a model to a file for other programs, with its preprocessing inside",
        "eanet export runs/photos-eanet_tiny",
        "eanet export eanet_tiny_cifar100 --output model.onnx",
        "eanet export runs/photos-eanet_tiny --format torch",
        "eanet export runs/photos-eanet_tiny --format web",
    )
    command.add_argument(
        "model", metavar="RUN", help="run directory, model file, bundled model or Hub id"
    )
    command.add_argument(
        "--format",
        default="onnx",
        choices=["onnx", "torch", "web"],
        help="onnx (default): for ONNX Runtime, OpenVINO and others; torch: for torch.export.load; "
        "web: a folder with a page that classifies photographs in the browser",
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
    command.add_argument(
        "--data",
        help="data set, folder, list or archive with images to compare answers on; unset: the "
        "run's own",
    )
    add_settings(command, {"data_dir": RUN["data_dir"]})


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.api import export

    result = export(
        options.model,
        format=options.format,
        output=options.output,
        runtime=options.runtime,
        data=options.data,
        data_dir=options.data_dir,
    )
    out, parity = stdout(), result.parity
    out.print(f"wrote {result.path} ({result.size / 1e6:.2f} MB)")
    out.print(f"wrote {result.report}")
    out.print(
        f"answers on {parity.images:,} {parity.of}: probabilities differ by at most "
        f"{parity.largest_difference:.2g}, top-1 is the same for {parity.same_top1:.2%}"
    )
    if options.format == "onnx":
        out.print(f"next: eanet predict {shlex.quote(str(result.path))} some.jpg")
