"""`eanet compare`."""

from __future__ import annotations

import argparse
from copy import copy
from typing import TYPE_CHECKING

from eanet.cli.output import print_table, stdout
from eanet.cli.parser import RUN, Commands, add_recipe, add_settings, given
from eanet.comparison.settings import PER_RUN
from eanet.config import TrainSettings
from eanet.files import user_path

if TYPE_CHECKING:
    from eanet.comparison.table import Rows


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "compare",
        run,
        "train models under the same conditions, or take finished runs, and compare them",
        "eanet compare keras_eanet keras_mlp vit --data digits --seeds 3",
        "eanet compare eanet_tiny eanet_tiny:mixing=none --data path/to/photos --epochs 20",
        "eanet compare eanet_tiny_cifar100 eanet_nano --data path/to/photos --recipe photos",
        "eanet compare runs/digits-keras_eanet runs/digits-vit",
    )
    command.add_argument(
        "models",
        nargs="+",
        metavar="MODEL|RUN",
        help="architectures, with settings as NAME:SETTING=VALUE,..., from random weights; trained "
        "models (bundled, or .safetensors), to fine-tune; or finished run directories",
    )
    command.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="runs of each model, with the seeds 0 to N-1 (default: 3)",
    )
    command.add_argument(
        "--output",
        type=user_path,
        metavar="PATH",
        help="folder of the comparison and its runs; unset: runs/compare-DATA-RECIPE, or "
        "-RUN-RUN. Repeating the command resumes it",
    )
    shared = {name: field for name, field in RUN.items() if name not in PER_RUN}
    shared["folds"] = copy(shared["folds"])  # alone it is a cross-validation, which this is not
    shared["folds"].description = "with --fold: how many there are"
    add_settings(command.add_argument_group("all runs"), shared, defaults=True)
    add_recipe(command)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from eanet.api import compare
    from eanet.comparison.table import rows

    settings = given(options, TrainSettings)
    output = settings.pop("output", None)
    comparison = compare(*options.models, seeds=options.seeds, output=output, **settings)
    out = stdout()
    _print_models(rows(comparison.entries), out.width)
    for text in (comparison.conclusion, comparison.caption, *comparison.notes):
        out.print()
        out.print(text)
    out.print()
    for file in comparison.files:
        out.print(f"wrote {file}")
    return int(any(entry.failures for entry in comparison.entries))


def _print_models(table: Rows, width: int) -> None:
    """Print the table; in a narrow window, scores and costs as two tables."""
    from eanet.comparison.table import COSTS

    model, *heads = table[0]
    taken = sum(max(len(head), *(len(row[head]) for row in table)) + 2 for head in heads)
    longest = max(len(row[model]) for row in table)
    costs = [head for head in heads if head in COSTS]
    scores = [head for head in heads if head not in COSTS]
    for part in [heads] if longest + taken <= width else [scores, costs]:
        columns = [model, *part]
        print_table(columns, [[row[head] for head in columns] for row in table], wrapped=0)
        if part is scores:
            stdout().print()
