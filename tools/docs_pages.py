"""The pages of the documentation that are written from the code, and code in tables: MkDocs' hooks.

So no setting, command, model or public name is missing there, or described otherwise than it is.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterable, Iterator
from html import escape

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import eanet
from eanet.cli import build_parser
from eanet.config import RECIPES, TrainSettings, recipes
from eanet.models import create_model, models
from eanet.models.registry import all_settings, format_value

# Those of `eanet.__all__` that are named here come first; the others follow.
GROUPS = {
    "Train and judge": ("train", "resume", "TrainingResult", "evaluate", "compare", "Comparison"),
    "Use and look": ("load", "Predictor", "Prediction", "explain"),
    "Models": ("create_model", "load_model", "save_model", "import_keras", "Classifier"),
    "Layers": ("ExternalAttention", "ExternalAttention2d", "build_kernels"),
}

# What these return and is got from them alone: it has no public name.
RETURNED = (
    "eanet.report.report.Report",
    "eanet.deploy.predictions.Predictions",
    "eanet.explanation.files.Pictures",
    "eanet.data.splits.Dataset",
    "eanet.data.imageset.ImageSet",
    "eanet.deploy.export.export.Export",
    "eanet.deploy.export.parity.Parity",
    "eanet.deploy.export.int8.AccuracyLoss",
    "eanet.benchmarking.models.Benchmark",
    "eanet.benchmarking.tokens.TokenBenchmark",
)

SECTIONS = {
    "TrainSettings": "The run",
    "DataSettings": "The images",
    "ValidationSettings": "Validation images",
    "Recipe": "How the model is trained",
    "AugmentSettings": "Augmentation",
    "MachineSettings": "The machine",
}

_TABLE_CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
_CODE = re.compile(r"(?<=<code>)[^<]+(?=</code>)")
_BREAKS = re.compile(r"(?<=[A-Za-z_\"')][.,(=/])(?=[\w\"'(])")
_HYPHENATED = re.compile(r"[^\s<>]*-[^\s<>]*")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the written pages to those of ``docs``."""
    pages = {
        "python": python_page,
        "commands": commands_page,
        "settings": settings_page,
        "models": models_page,
        "recipes": recipes_page,
    }
    for name, write in pages.items():
        content = "\n".join(write()) + "\n"
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def on_page_content(html: str, **_: object) -> str:
    """Let code in tables be broken at points, commas, brackets and ``=``, and not at hyphens."""

    def in_code(code: re.Match[str]) -> str:
        with_breaks = _BREAKS.sub("<wbr>", code[0])
        return _HYPHENATED.sub(r'<span class="whole">\g<0></span>', with_breaks)

    return _TABLE_CELL.sub(lambda cell: _CODE.sub(in_code, cell[0]), html)


def python_page() -> Iterator[str]:
    """Every public name, with its docstring."""
    yield "# Python\n"
    yield "What `import eanet` offers; [settings](settings.md) lists the keywords of `train`.\n"
    grouped = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in eanet.__all__ if name not in grouped)
    for title, names in {**GROUPS, "Others": others}.items():
        yield f"## {title}\n"
        for name in names:
            yield f"::: {eanet._HOMES[name]}.{name}\n    options:\n      heading_level: 3\n"
    yield "## What functions return\n"
    yield (
        "And is not named above: `evaluate` returns a `Report`, `predict` `Predictions`, `explain` "
        "`Pictures`, `load_dataset` a `Dataset` of `ImageSet`s, `export` an `Export`.\n"
    )
    for path in RETURNED:
        unsigned = "      separate_signature: false\n      show_signature: false\n"
        yield f"::: {path}\n    options:\n      heading_level: 3\n{unsigned}"


def commands_page() -> Iterator[str]:
    """The help of every command."""
    yield "# Commands\n"
    for name, command in _commands(build_parser()):
        yield f"## eanet {name}\n\n```text\n{command.format_help().strip()}\n```\n"


def _commands(parser: argparse.ArgumentParser) -> Iterable[tuple[str, argparse.ArgumentParser]]:
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return subparsers.choices.items()


def settings_page() -> Iterator[str]:
    """Every setting of a training, with its default."""
    yield "# Settings\n"
    yield (
        "Each is an option of `eanet train` (`--learning-rate`), a keyword of `eanet.train` "
        "(`learning_rate`) and, if it says how a model is trained, a line of a recipe. A recipe's "
        "value holds unless the setting is given. As a default, `none` means: chosen from the "
        "images, or off, as the description says.\n"
    )
    owners = {owner.__name__: owner for owner in TrainSettings.__mro__}
    for owner, title in SECTIONS.items():
        own = inspect.get_annotations(owners[owner])
        rows = [(n, TrainSettings.model_fields[n]) for n in own]
        yield f"## {title}\n"
        yield "| setting | default | what it is |\n|---|---|---|"
        for name, field in rows:
            default = format_value(field.default)
            yield f"| `{name}` | `{default}` | {_cell(field.description or '')} |"
        yield ""


def models_page() -> Iterator[str]:
    """Every architecture, with its settings."""
    yield "# Models\n"
    yield "`--model NAME:SETTING=VALUE,...` changes a setting: `eanet_tiny:mixing=self,depth=8`.\n"
    for entry in models():
        count = create_model(entry.name).num_parameters
        yield f"## {entry.name}\n"
        yield f"{entry.summary} {count:,} parameters for 100 classes of 32 x 32 pixels.\n"
        yield "| setting | default |\n|---|---|"
        for name, value in all_settings(entry.name, {}).items():
            yield f"| `{name}` | `{format_value(value)}` |"
        yield ""


def recipes_page() -> Iterator[str]:
    """Every recipe, as it stands."""
    yield "# Recipes\n"
    yield "`eanet recipes NAME > my.yaml` prints one, to begin your own with.\n"
    for name, summary in recipes().items():
        text = (RECIPES / f"{name}.yaml").read_text("utf-8").strip()
        yield f"## {name}\n\n{summary}\n\n```yaml\n{text}\n```\n"


def _cell(text: str) -> str:
    """Make a text safe in a cell of a table."""
    return escape(text, quote=False).replace("|", "\\|")
