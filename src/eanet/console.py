"""Where messages and progress go: standard error, so that standard output holds results alone."""

from __future__ import annotations

import os
from functools import cache

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# Of several processes of one training, the first speaks.
console = Console(
    stderr=True, highlight=False, emoji=False, quiet=os.environ.get("RANK", "0") != "0"
)


def notice(message: str) -> None:
    """Print one line for people, without markup and without breaking it."""
    console.print(message, markup=False, soft_wrap=True)


@cache
def notice_once(message: str) -> None:
    """`notice`, but for what this process has been told before."""
    notice(message)


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
        redirect_stdout=False,  # results stay on standard output
        disable=not console.is_terminal,
    )


class ImagesPerSecond(ProgressColumn):
    """How many images a second are done."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        return Text(f"{task.speed or 0:.0f} images/s")
