"""`eanet evaluate`."""

from __future__ import annotations

import argparse

from eanet.cli.output import show_metrics
from eanet.cli.parser import RUN, Commands, add_model, add_runtime, add_settings
from eanet.config import VIEWS
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
        "eanet evaluate runs/photos-eanet_tiny --unknown other/pictures",
        "eanet evaluate runs/photos-eanet_tiny --views 10 --split validation --output views",
    )
    add_model(command)
    command.add_argument(
        "--data",
        help="name of a data set, folder, list or archive, of all classes or some; images that the "
        "run was trained or validated on are left out; unset: what the run was trained on",
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
        "test images, a folder DATA-SPLIT in it; for a file, FILE-DATA-SPLIT beside it; for a "
        "bundled model or Hub id, runs/NAME/DATA-SPLIT",
    )
    command.add_argument(
        "--calibrate",
        action="store_true",
        help="fit a temperature on the validation images, so that confidence matches accuracy, and "
        "save this model with the report; without --output, that of a run's own test images "
        "overwrites its model",
    )
    command.add_argument(
        "--unknown",
        metavar="FOLDER",
        help="pictures of things that the model does not know: report how many it rejects; a model "
        "that cannot reject any is first given a threshold, as by --false-rejections 0.05",
    )
    command.add_argument(
        "--false-rejections",
        type=float,
        metavar="SHARE",
        help="choose on the validation images how far an image may be from the training images, so "
        "that at most this share of known images is taken for unknown ones, and save this model "
        "with the report, as --calibrate does; a training uses 0.05",
    )
    command.add_argument(
        "--views",
        type=int,
        choices=VIEWS,
        help="answer for several views of each image and average: 2: it and its mirror image; 5: "
        "it and shifted to four sides; 10: both; 1: it alone; say what that gains and costs, and "
        "save this model with the report, as --calibrate does",
    )
    add_settings(command, {n: RUN[n] for n in ("layout", "names", "data_dir", "device")})
    add_runtime(command, "PyTorch, except for exported files")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.report.evaluate import evaluate

    report = evaluate(
        options.model,
        data=options.data,
        split=options.split,
        layout=options.layout,
        names=options.names,
        data_dir=options.data_dir,
        output=options.output,
        device=options.device,
        calibrate=options.calibrate,
        unknown=options.unknown,
        false_rejections=options.false_rejections,
        views=options.views,
        runtime=options.runtime,
    )
    show_metrics(report.metrics, report.files)
