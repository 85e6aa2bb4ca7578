"""Where messages and progress go: standard error, so that standard output holds results alone."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False)


def notice(message: str) -> None:
    """Print one line for people, without markup and without breaking it."""
    console.print(message, markup=False, soft_wrap=True)


def progress_bar(*columns: ProgressColumn | str, show_time_left: bool = True) -> Progress:
    """A progress bar on standard error; ``columns`` follow the bar and precede the time left.

    Nothing is drawn where standard error is no terminal.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *columns,
        *([TimeRemainingColumn(compact=True)] if show_time_left else []),
        console=console,
        disable=not console.is_terminal,
    )
