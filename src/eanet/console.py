"""Where messages and progress go: standard error, so that standard output holds results alone."""

from __future__ import annotations

import os

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

# Of several processes of one training, the first speaks.
console = Console(
    stderr=True, highlight=False, emoji=False, quiet=os.environ.get("RANK", "0") != "0"
)


def notice(message: str) -> None:
    """Print one line for people, without markup and without breaking it."""
    console.print(message, markup=False, soft_wrap=True)


def progress_bar(*columns: ProgressColumn | str, show_time_left: bool = True) -> Progress:
    """A progress bar on standard error; ``columns`` follow the bar and precede the time left.

    It vanishes when done. Nothing is drawn where standard error is no terminal.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        *columns,
        *([TimeRemainingColumn(compact=True)] if show_time_left else []),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
