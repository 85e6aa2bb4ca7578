"""Messages and progress on standard error, so that standard output holds only results.

In a notebook, where results are objects, they are lines of the cell's output.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from eanet.notebooks import in_notebook, is_watched
from eanet.text import shown

# Of several processes of one training, only the first prints. A notebook would make a block of its
# own of each line that rich displays there, and shows standard error as if something were wrong.
console = Console(
    stderr=not in_notebook(),
    force_jupyter=False,
    force_terminal=False if in_notebook() else None,  # which kernels pretend to be, for colours
    highlight=False,
    emoji=False,
    quiet=os.environ.get("RANK", "0") != "0",
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


def how_to_resume(run: Path, threads: int | None = None) -> str:
    """Return what resumes a run, with another number of threads if there is one."""
    if in_notebook():
        return f"eanet.resume({str(run)!r}{'' if threads is None else f', threads={threads}'})"
    option = "" if threads is None else f" --threads {threads}"
    return f"eanet train --resume {shlex.quote(str(run))}{option}"


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

    It disappears when done. Nothing is drawn if standard error is neither a terminal that can draw
    over a line nor a notebook that somebody looks at.
    """
    shown = (
        _Description(),
        BarColumn(bar_width=24),
        *columns,
        *([TimeRemainingColumn(compact=True)] if show_time_left else []),
    )
    if is_watched():
        return _NotebookProgress(*shown, auto_refresh=False)
    return Progress(
        *shown,
        console=console,
        transient=True,
        redirect_stdout=False,  # results stay on standard output
        # Kernels tell their processes to act as in a terminal; a dumb one would get empty lines.
        disable=not console.file.isatty() or console.is_dumb_terminal,
    )


class _NotebookProgress(Progress):
    """A bar in one line of a cell's output, which a carriage return begins anew."""

    WIDTH = 100
    SECONDS = 0.3  # from one drawing to the next, and before the first

    _drawn_at = 0.0
    _length = 0

    def start(self) -> None:
        """Draw nothing yet: much is done at once."""
        self._drawn_at = time.monotonic()

    def stop(self) -> None:
        """Remove the line."""
        if self._length:
            self._print("")

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task and draw it."""
        super().update(task_id, **changes)
        self.refresh()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task and draw it."""
        super().advance(task_id, advance)
        self.refresh()

    def refresh(self) -> None:
        """Draw the line, unless it was just drawn."""
        now = time.monotonic()
        if now - self._drawn_at < self.SECONDS or not self.tasks:
            return
        self._drawn_at = now
        page = Console(width=self.WIDTH, force_jupyter=False, force_terminal=False)
        with page.capture() as capture:
            page.print(self.make_tasks_table(self.tasks[-1:]))
        self._print(capture.get().split("\n")[0].rstrip())

    def _print(self, line: str) -> None:
        sys.stdout.write(f"\r{line.ljust(self._length)}" + "\r" * (not line))
        sys.stdout.flush()
        self._length = len(line)


class _Description(ProgressColumn):
    """What is being done, which may name a file; in a narrow window, the bar shrinks instead."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        return Text(shown(task.description))


class ImagesPerSecond(ProgressColumn):
    """Images processed per second."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        """Draw the column."""
        return Text(f"{task.speed or 0:.0f} images/s")
