"""`eanet embed`."""

from __future__ import annotations

import argparse
import sys

from eanet.cli.output import stdout
from eanet.cli.parser import RUN, Commands, add_images, add_model, add_settings
from eanet.files import user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "embed",
        run,
        "write what a model makes of images before its last layer, to search or sort by",
        "eanet embed runs/photos-eanet_tiny holiday/",
        "eanet embed eanet_tiny_cifar100 holiday/ --output holiday.parquet",
    )
    add_model(command, exported=False)
    add_images(command)
    command.add_argument(
        "--output",
        type=user_path,
        default=user_path("embeddings.npy"),
        metavar="FILE",
        help=".npy, with the image of each row in a .csv beside it; or .parquet, which needs "
        "pyarrow; replaced if it exists (default: embeddings.npy)",
    )
    add_settings(command, {"device": RUN["device"]})


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from eanet.deploy.embedding import check_output, embed_files

    check_output(options.output)
    embeddings = embed_files(
        options.model, options.images, sys.stdin, device=options.device or "auto"
    )
    files = embeddings.write(options.output)
    count, width = embeddings.vectors.shape
    stdout().print(f"{count:,} image{'s' * (count != 1)}, {width} numbers each")
    for file in files:
        stdout().print(f"wrote {file}")
    return 1 if embeddings.unreadable else 0
