"""`eanet models` and `eanet recipes`: what is available by name."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from eanet.cli.output import print_table, stdout
from eanet.cli.parser import Commands
from eanet.config import is_run, recipes
from eanet.errors import EanetError, unknown_name
from eanet.files import user_path

SOME = 10  # classes that are named


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "models",
        _models,
        "list the architectures and the bundled trained models, or describe one",
        "eanet models",
        "eanet models eanet_tiny",
        "eanet models runs/photos-eanet_tiny",
    )
    parser.add_argument(
        "name",
        nargs="?",
        help="ARCHITECTURE or ARCHITECTURE:SETTING=VALUE,..., to list its settings; or a run "
        "directory, model file, bundled model or Hub id, to describe that",
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
    from eanet.model_files.find import bundled_models
    from eanet.models import create_model, models

    bundled, architectures = bundled_models(), [model.name for model in models()]
    if (name := options.name) is not None:
        if name.partition(":")[0] in architectures:
            _show_architecture(name)
        elif name in bundled or "/" in name or user_path(name).exists():
            _show_trained(name)
        else:
            raise unknown_name("model", name, [*architectures, *bundled])
        return
    rows = [(m.name, f"{create_model(m.name).num_parameters:,}", m.summary) for m in models()]
    print_table(("model", "parameters", "what it is"), rows)
    stdout().print("parameters: for 100 classes of 32 x 32 colour images")
    if bundled:
        stdout().print()
        columns = ("bundled model", "architecture", "pixels", "data", "classes", "top-1", "MB")
        figures = [_bundled(name, file) for name, file in bundled.items()]
        print_table(columns, figures, wrapped=None)
        stdout().print("top-1: accuracy on the test images of its data")


def _show_architecture(name: str) -> None:
    from eanet.models import create_model
    from eanet.models.registry import all_settings, format_value, parse_model_name

    model, settings = create_model(name), all_settings(*parse_model_name(name))
    print_table(("setting", "value"), [(s, format_value(v)) for s, v in settings.items()])
    size = model.config.image_size
    stdout().print(
        f"{model.num_parameters:,} parameters for 100 classes of {size} x {size} colour images"
    )


def _show_trained(where: str) -> None:
    from eanet.model_files.exported import exported_beside
    from eanet.model_files.find import find_model
    from eanet.model_files.weights_file import read_metadata
    from eanet.models.registry import format_model_name
    from eanet.report.files import read_metrics

    file = find_model(where)
    model = read_metadata(file)
    training = (read_metrics(where) or {}) | model.get("training", {})
    names = ", ".join(model["classes"][:SOME])
    try:
        export = f"none; eanet export {shlex.quote(where)} writes it"
        exported = str(exported_beside(file) or export)
    except EanetError as error:
        exported = str(error)
    rows = {
        "architecture": format_model_name(model["name"], model["settings"]),
        "image size": "{0} x {0}".format(model["image_size"]),
        "classes": f"{len(model['classes']):,}: {names}{', ...' * (len(model['classes']) > SOME)}",
        "parameters": f"{model['parameters']:,}" if "parameters" in model else None,
        "trained on": training.get("data"),
        **_of_run(where),
        "top-1": f"{training['top1']:.2%}" if "top1" in training else None,
        "file": str(file),
        "ONNX file": exported,
    }
    print_table(("", where), [(name, value) for name, value in rows.items() if value])


def _of_run(where: str) -> dict[str, str]:
    """Return what a run says of its training, if it is one."""
    from eanet.training.run_directory import RunDirectory

    path = user_path(where)
    if not is_run(path):
        return {}
    run = RunDirectory(path)
    config, end = run.read_config(), "" if run.is_finished() else ", not finished"
    return {
        "trained on": f"{config.data.images.get('train', 0):,} images of {config.data.name}",
        "epochs": f"{len(run.read_history())} of {config.resolved.epochs}{end}",
    }


def _bundled(name: str, file: Path) -> tuple[str, ...]:
    from eanet.model_files.weights_file import read_metadata

    model = read_metadata(file)
    training = model.get("training", {})
    return (
        name,
        model["name"],
        "{0} x {0}".format(model["image_size"]),
        training.get("data", "-"),
        f"{len(model['classes']):,}",
        f"{training['top1']:.2%}" if "top1" in training else "-",
        f"{file.stat().st_size / 1e6:.2f}",
    )


def _recipes(options: argparse.Namespace) -> None:
    from eanet.config import RECIPES

    if options.name is None:
        print_table(("recipe", "what it is"), recipes().items())
    elif options.name in recipes():
        sys.stdout.write((RECIPES / f"{options.name}.yaml").read_text("utf-8"))
    else:
        raise unknown_name("recipe", options.name, recipes())
