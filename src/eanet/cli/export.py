"""`eanet export`."""

from __future__ import annotations

import argparse
import shlex

from eanet.cli.output import stdout
from eanet.cli.parser import RUN, Commands, add_model, add_settings
from eanet.files import user_path

FASTER = 1.05  # times as fast; less may be chance


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
    add_model(command, exported=False)
    command.add_argument(
        "--format",
        default="onnx",
        choices=["onnx", "torch", "web"],
        help="onnx (default): for ONNX Runtime, OpenVINO and others; torch: for torch.export.load; "
        "web: a folder with a page that classifies photographs in the browser",
    )
    command.add_argument(
        "--int8",
        action="store_true",
        help="for onnx: compute in 8 bits; needs training images, and says what accuracy it costs",
    )
    command.add_argument(
        "--output",
        type=user_path,
        metavar="PATH",
        help="file or folder to write; unset: model.onnx, model-int8.onnx, model.pt2 or web in "
        "the run directory, or named after the model; only what was exported before is replaced",
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
        int8=options.int8,
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
    if (loss := result.loss) is not None and (speedup := result.speedup) is not None:
        out.print(
            f"8 bits: top-1 on {loss.images:,} {loss.of} is {loss.top1:.2%}, before "
            f"{loss.top1_before:.2%}; lost {100 * loss.lost:.2f} points (95% interval "
            f"{100 * loss.lost_low:.2f} to {100 * loss.lost_high:.2f})"
        )
        is_faster = speedup > FASTER
        out.print(
            f"{'' if is_faster else 'not faster: '}{speedup:.2f} times as fast as without "
            "--int8 here, in ONNX Runtime, in batches of 32"
        )
    path = shlex.quote(str(result.path))
    if options.format == "onnx":
        out.print(f"next: eanet predict {path} some.jpg")
    elif options.format == "web":
        away = "" if options.runtime else "; without a network, it needs --runtime FOLDER"
        out.print(f"next: python -m http.server -d {path}, then http://localhost:8000{away}")
