"""`eanet benchmark`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from eanet.benchmarking.settings import BenchmarkSettings
from eanet.cli.output import print_table, stdout
from eanet.cli.parser import Commands, add_settings, given
from eanet.errors import WrongArgumentError


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "benchmark",
        run,
        "measure what models cost: operations, time and memory on this machine",
        "eanet benchmark",
        "eanet benchmark keras_eanet vit --image-size 64 --output benchmark",
        "eanet benchmark --tokens",
    )
    command.add_argument("models", nargs="*", metavar="MODEL", help="named models; unset: all")
    command.add_argument(
        "--tokens",
        action="store_true",
        help="instead, one layer each of external and self-attention by number of tokens",
    )
    add_settings(command, BenchmarkSettings.model_fields, defaults=True)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    settings = given(options, BenchmarkSettings)
    files = _tokens(options, settings) if options.tokens else _models(options, settings)
    stdout().print("medians, with the 5th and 95th percentile")
    for file in files:
        stdout().print(f"wrote {file}")


def _tokens(options: argparse.Namespace, settings: dict[str, Any]) -> tuple[Path, ...]:
    from eanet.benchmarking.figures import token_rows
    from eanet.benchmarking.tokens import benchmark_tokens

    if options.models or settings.keys() & {"image_size", "batch_size", "runtimes"}:
        raise WrongArgumentError(
            "--tokens takes no model, --image-size, --batch-size or --runtimes"
        )
    measured = benchmark_tokens(**settings)
    rows = token_rows(measured.points)
    print_table(list(rows[0]), [list(row.values()) for row in rows], wrapped=None)
    stdout().print(measured.summary)
    return measured.files


def _models(options: argparse.Namespace, settings: dict[str, Any]) -> tuple[Path, ...]:
    from eanet.benchmarking.figures import model_rows, runtime_rows
    from eanet.benchmarking.models import benchmark

    if "dim" in settings:
        raise WrongArgumentError("--dim needs --tokens")
    measured = benchmark(*options.models, **settings)
    rows = model_rows(measured.models)
    print_table(list(rows[0]), [list(row.values()) for row in rows], wrapped=None)
    if measured.runtimes:
        stdout().print()
        rows = runtime_rows(measured.runtimes)
        print_table(list(rows[0]), [list(row.values()) for row in rows], wrapped=None)
    return measured.files
