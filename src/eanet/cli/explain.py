"""`eanet explain`."""

from __future__ import annotations

import argparse
import sys

from eanet.cli.output import stdout
from eanet.cli.parser import RUN, Commands, add_images, add_model, add_runtime, add_settings
from eanet.files import user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "explain",
        run,
        "draw what a model attends to in images, and what its answers rest on",
        "eanet explain runs/photos-eanet_tiny bee.jpg",
        "eanet explain runs/photos-eanet_tiny holiday/ --class ants --output why",
        "eanet explain runs/photos-eanet_tiny bee.jpg --neighbours 6",
    )
    add_model(command)
    add_images(command)
    command.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="class to explain; unset: the most probable",
    )
    command.add_argument(
        "--layer",
        type=int,
        metavar="N",
        help="block, from 1, whose attention is shown; unset: the last with attention",
    )
    command.add_argument(
        "--slots", type=int, default=6, metavar="K", help="memory slots to show (default: 6)"
    )
    command.add_argument(
        "--neighbours",
        type=int,
        default=0,
        metavar="N",
        help="also show the N training images, at most 12, that are most like the image to the "
        "model; RUN is a run directory then (default: 0)",
    )
    command.add_argument(
        "--output",
        type=user_path,
        help="output folder, in which nothing is overwritten; unset: RUN/explain, or ./explain if "
        "RUN is no folder",
    )
    add_settings(command, {"device": RUN["device"]})
    add_runtime(command, "PyTorch, except for exported files; others show no attention")


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from eanet.explanation.files import explain_files

    explained = explain_files(
        options.model,
        options.images,
        sys.stdin,
        output=options.output,
        class_name=options.class_name,
        layer=options.layer,
        slots=options.slots,
        neighbours=options.neighbours,
        device=options.device or "auto",
        runtime=options.runtime,
    )
    for picture in explained.pictures:
        stdout().print(f"wrote {picture}")
    return 0 if len(explained.pictures) == explained.images else 1
