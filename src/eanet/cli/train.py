"""`eanet train`."""

from __future__ import annotations

import argparse

from eanet.cli.output import show_metrics
from eanet.cli.parser import RUN, Commands, add_recipe, add_settings, given
from eanet.config import TrainSettings
from eanet.errors import WrongArgumentError
from eanet.files import user_path


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "train",
        run,
        "train a classifier, evaluate it and write a report",
        "eanet train digits",
        "eanet train cifar100 --recipe keras_example --model keras_eanet",
        "eanet train path/to/photos",
        "eanet train path/to/photos --minutes 20 --learning-rate find",
        "eanet train path/to/photos --init eanet_tiny_64",
        "eanet train path/to/photos --folds 5",
        "eanet train --resume runs/digits-keras_eanet",
        "eanet train --resume runs/photos-eanet_tiny --epochs 60",
        "eanet train more/photos --init runs/photos-eanet_tiny",
    )
    command.add_argument("data", nargs="?", help=TrainSettings.model_fields["data"].description)
    command.add_argument(
        "--resume",
        metavar="RUN",
        type=user_path,
        help="resume an interrupted run; with --epochs, train a finished one longer; with DATA, "
        "where its images are now",
    )
    own = {name: field for name, field in RUN.items() if name != "data"}
    add_settings(command.add_argument_group("the run"), own, defaults=True)
    add_recipe(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.api import RESUME_SETTINGS, resume, train

    settings = given(options, TrainSettings)
    if options.resume is None and options.folds is not None and options.fold is None:
        from eanet.report.cross_validation import cross_validate

        whole = cross_validate(**settings)
        show_metrics(whole.metrics, whole.files)
        return
    if options.resume is None:
        result = train(**settings)
    elif other := [name for name in settings if name not in RESUME_SETTINGS]:
        raise WrongArgumentError(
            f"--resume uses the run's own settings; leave out {', '.join(other)}"
        )
    else:
        result = resume(options.resume, **settings)
    if result.metrics:  # only the first of several processes has them
        show_metrics(result.metrics, result.files)
