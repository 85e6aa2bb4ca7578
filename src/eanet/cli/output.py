"""Standard output: what a command found, and nothing else."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show_metrics(metrics: dict[str, float | int], files: Iterable[Path]) -> None:
    """Print what a model scored, and what was written."""
    out = stdout()
    smoothing = metrics["label_smoothing"]
    note = f" (label smoothing {smoothing:g})" if smoothing else ""
    out.print(f"{metrics['images']:,} images")
    out.print(f"loss   {metrics['loss']:.4f}{note}")
    out.print(f"top-1  {metrics['top1']:.2%}")
    out.print(f"top-5  {metrics['top5']:.2%}")
    for file in files:
        out.print(f"wrote {file}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns, the last of them wrapped where the window is narrow."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1])
    for row in rows:
        table.add_row(*row)
    stdout().print(table)


def stdout() -> Console:
    """Plain text on standard output, wrapped to the window where that is a terminal."""
    width = None if sys.stdout.isatty() else 1000
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def write_rows(rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV."""
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
