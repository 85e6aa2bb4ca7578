"""`eanet evaluate`."""

from __future__ import annotations

import argparse

from eanet.cli.output import show_metrics
from eanet.cli.parser import RUN, Commands, add_settings
from eanet.files import user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "evaluate",
        run,
        "measure a model on images and write a report",
        "eanet evaluate runs/digits-keras_eanet",
        "eanet evaluate runs/photos-eanet_tiny --data other/photos",
        "eanet evaluate runs/photos-eanet_tiny --calibrate",
    )
    command.add_argument(
        "model", metavar="RUN", help="run directory, model file, bundled model or Hub id"
    )
    command.add_argument(
        "--data",
        help="name of a data set, folder, list or archive; unset: what the run was trained on",
    )
    command.add_argument(
        "--split",
        choices=["train", "validation", "test"],
        help="unset: test; for other data without it, validation, or else all",
    )
    command.add_argument(
        "--output",
        type=user_path,
        help="folder to write to; unset: the run directory, or for other images than the run's "
        "test images, a folder DATA-SPLIT in it",
    )
    command.add_argument(
        "--calibrate",
        action="store_true",
        help="fit a temperature on the validation images, so that confidence matches accuracy, and "
        "save this model with the report; without --output, that of a run's own test images "
        "overwrites its model",
    )
    add_settings(command, {n: RUN[n] for n in ("data_dir", "device")})


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.report.evaluate import evaluate

    report = evaluate(
        options.model,
        data=options.data,
        split=options.split,
        data_dir=options.data_dir,
        output=options.output,
        device=options.device,
        calibrate=options.calibrate,
    )
    show_metrics(report.metrics, report.files)
