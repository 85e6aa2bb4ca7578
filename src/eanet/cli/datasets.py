"""`eanet datasets`."""

from __future__ import annotations

import argparse

from eanet.cli.output import print_table
from eanet.cli.parser import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    commands.add("datasets", run, "list the data sets that have a name", "eanet datasets")


def run(_: argparse.Namespace) -> None:
    """Run the command."""
    from eanet.data.sources import sources

    rows = [(source.name, source.summary) for source in sources()]
    rows.append(("FOLDER", "one's own images, a folder for each class"))
    print_table(("data", "what it is"), rows)
