"""`eanet models` and `eanet recipes`: what is available by name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from eanet.cli.output import print_table, stdout
from eanet.cli.parser import Commands
from eanet.config import recipes
from eanet.errors import unknown_name


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "models",
        _models,
        "list the architectures and the bundled trained models, or the settings of an architecture",
        "eanet models",
        "eanet models eanet_tiny",
    )
    parser.add_argument(
        "name",
        nargs="?",
        help="ARCHITECTURE or ARCHITECTURE:SETTING=VALUE,..., to list its settings",
    )
    parser = commands.add(
        "recipes",
        _recipes,
        "list the recipes, or print one to start your own from",
        "eanet recipes",
        "eanet recipes default > my.yaml",
    )
    parser.add_argument("name", nargs="?", help="recipe to print")


def _models(options: argparse.Namespace) -> None:
    from eanet.models import create_model, models
    from eanet.models.registry import all_settings, format_value, parse_model_name
    from eanet.models.weights import bundled_models

    if options.name is not None:
        model, settings = (
            create_model(options.name),
            all_settings(*parse_model_name(options.name)),
        )
        print_table(("setting", "value"), [(s, format_value(v)) for s, v in settings.items()])
        size = model.config.image_size
        stdout().print(
            f"{model.num_parameters:,} parameters for 100 classes of {size} x {size} colour images"
        )
        return
    rows = [(m.name, f"{create_model(m.name).num_parameters:,}", m.summary) for m in models()]
    print_table(("model", "parameters", "what it is"), rows)
    stdout().print("parameters: for 100 classes of 32 x 32 colour images")
    if bundled := bundled_models():
        stdout().print()
        columns = ("bundled model", "architecture", "pixels", "data", "classes", "top-1", "file")
        print_table(columns, [_bundled(name, file) for name, file in bundled.items()])
        stdout().print("top-1: accuracy on the test images of its data")


def _bundled(name: str, file: Path) -> tuple[str, ...]:
    from eanet.models.weights import read_metadata

    model = read_metadata(file)
    training = model.get("training", {})
    return (
        name,
        model["name"],
        "{0} x {0}".format(model["image_size"]),
        training.get("data", "-"),
        f"{len(model['classes']):,}",
        f"{training['top1']:.2%}" if "top1" in training else "-",
        f"{file.stat().st_size / 1e6:.2f} MB",
    )


def _recipes(options: argparse.Namespace) -> None:
    from eanet.config import RECIPES

    if options.name is None:
        print_table(("recipe", "what it is"), recipes().items())
    elif options.name in recipes():
        sys.stdout.write((RECIPES / f"{options.name}.yaml").read_text("utf-8"))
    else:
        raise unknown_name("recipe", options.name, recipes())
