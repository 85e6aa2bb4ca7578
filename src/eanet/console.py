"""Messages and progress on standard error, so that standard output holds only results."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.text import Text

from eanet.text import shown

# Of several processes of one training, only the first prints.
console = Console(
    stderr=True, highlight=False, emoji=False, quiet=os.environ.get("RANK", "0") != "0"
)


def notice(message: str) -> None:
    """Print one line of text, without markup or wrapping, and control characters as escapes."""
    console.print(shown(message), markup=False, soft_wrap=True)


def report(error: str) -> None:
    """Print an error; of several processes, each does, since any may be the only one to fail."""
    rank = os.environ.get("RANK", "0")
    process = f"process {rank}: " if rank != "0" else ""
    line = shown(f"eanet: error: {process}{error}")
    Console(stderr=True).print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


@contextmanager
def only_errors(name: str | None) -> Iterator[None]:
    """Let a library's logger and those below it pass on errors alone; None: the one above all."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@cache
def notice_once(message: str) -> None:
    """Like `notice`, but print each message only once per process."""
    notice(message)


def duration(seconds: float) -> str:
    """Format seconds as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(value: float) -> str:
    """Format a number for reading, to three digits or the unit: 84.2 M, 1,234 or 0.0312."""
    value = float(f"{value:.3g}") if value >= 1e6 else value  # 999,600,000 is 1 G
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def progress_bar(*columns: ProgressColumn | str, show_time_left: bool = True) -> Progress:
    """Create a progress bar on standard error; ``columns`` go between the bar and the time left.

    It disappears when done. Nothing is drawn if standard error is not a terminal.
    """
    return Progress(
        _Description(),
        BarColumn(bar_width=24),
        *columns,
        *([TimeRemainingColumn(compact=True)] if show_time_left else []),
        console=console,
        transient=True,
        redirect_stdout=False,  # results stay on standard output
        disable=not console.is_terminal,
    )


class _Description(ProgressColumn):
    """What is being done, which may name a file."""

    def render(self, task: Task) -> Text:
        return Text(shown(task.description))


class ImagesPerSecond(ProgressColumn):
    """Images processed per second."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        return Text(f"{task.speed or 0:.0f} images/s")
