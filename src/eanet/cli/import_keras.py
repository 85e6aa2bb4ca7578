"""`eanet import-keras`."""

from __future__ import annotations

import argparse

from eanet.cli.output import stdout
from eanet.cli.parser import Commands
from eanet.config import RUNS, is_run
from eanet.errors import EanetError
from eanet.files import read_text, user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "import-keras",
        run,
        "turn weights trained with the Keras example into a model",
        "eanet import-keras eanet.weights.h5 --output runs/from-keras",
    )
    parser.add_argument(
        "file", type=user_path, metavar="FILE", help="FILE.weights.h5 or FILE.keras"
    )
    parser.add_argument("--output", type=user_path, help="folder to write; unset: runs/FILE")
    parser.add_argument(
        "--classes",
        type=user_path,
        metavar="FILE",
        help="names of the classes, one per line, in order",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        help="side of the images that the network was built for, in pixels; FILE.keras holds it; "
        "unset with FILE.weights.h5: the smallest with as many patches",
    )


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.models import save_model
    from eanet.models.keras_import import import_keras

    stem = options.file.name.removesuffix(".keras").removesuffix(".weights.h5")
    folder = options.output or RUNS / stem
    if is_run(folder):
        raise EanetError(f"{folder} holds a run; name another folder with --output")
    classes = read_text(options.classes).split("\n") if options.classes else None
    model = import_keras(
        options.file, classes and [name for name in classes if name], options.image_size
    )
    path = save_model(model, folder)
    out = stdout()
    size = model.config.image_size
    out.print(
        f"{model.config.name}: {model.num_parameters:,} parameters, "
        f"{size} x {size} pixels, {len(model.classes)} classes"
    )
    out.print(f"wrote {path}")
