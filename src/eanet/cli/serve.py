"""`eanet serve`."""

from __future__ import annotations

import argparse

from eanet.cli.parser import Commands, add_model, add_settings, given
from eanet.deploy.server.settings import ServeSettings

_SEVERAL = ("allow_host", "allow_origin")


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "serve",
        run,
        "answer over HTTP with a model: a page for photographs, an interface for programs",
        "eanet serve runs/photos-eanet_tiny",
        "eanet serve runs/photos-eanet_tiny --host 0.0.0.0 --port 80 --workers 4",
    )
    add_model(command)
    fields = ServeSettings.model_fields
    one = ("host", "port", "workers", "threads", "threshold", "device", "precision", "runtime")
    add_settings(command, {name: fields[name] for name in one}, defaults=True)
    browsers = command.add_argument_group("names and sites, each option as often as needed")
    for name in _SEVERAL:
        option, text = "--" + name.replace("_", "-"), fields[name].description
        browsers.add_argument(
            option, action="append", metavar=name.split("_")[1].upper(), help=text
        )
    limits = command.add_argument_group("the most that is taken")
    rest = {n: field for n, field in fields.items() if n not in (*one, *_SEVERAL)}
    add_settings(limits, rest, defaults=True)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.api import serve

    serve(options.model, **given(options, ServeSettings))
