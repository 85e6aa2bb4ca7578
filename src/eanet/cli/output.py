"""Standard output: the results of a command, and nothing else."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from eanet.text import cell, shown

GAP = 2  # spaces between the columns of a table
LEAST_WRAPPED = 20  # width that a wrapped column keeps


def show_metrics(metrics: Mapping[str, float | int], files: Iterable[Path]) -> None:
    """Print the scores of a model and the files written."""
    from eanet.metrics.calibration import note_of_temperature, verdict
    from eanet.metrics.evaluation import MANY_CLASSES
    from eanet.metrics.intervals import note_of_few, note_of_guess, of_groups

    out, m = stdout(), metrics
    smoothing = m["label_smoothing"]
    note = f"  (label smoothing {smoothing:g})" if smoothing else ""
    out.print(f"{m['images']:,} images{of_groups(m)}")
    out.print(f"loss   {m['loss']:.4f}{note}")
    for k in (1, 5) if m["classes"] >= MANY_CLASSES else (1,):
        interval = f"{m[f'top{k}_low']:.2%} to {m[f'top{k}_high']:.2%}"
        out.print(f"top-{k}  {m[f'top{k}']:.2%}  (95% interval {interval})")
    if "folds" in m:
        spread = f"standard deviation {100 * m['top1_sd']:.1f} points"
        out.print(f"folds  {m['folds']}  ({spread}; each answered by a model that has not seen it)")
    guess = f"always the largest class of these images{note_of_guess(m)}"
    out.print(f"guess  {m['majority_baseline']:.2%}  ({guess})")
    averages = f"precision {m['macro_precision']:.2%}, recall {m['macro_recall']:.2%}"
    out.print(f"F1     {m['macro_f1']:.2%}  ({averages}; means over the classes)")
    out.print(f"ECE    {m['ece']:.2%}  (expected calibration error; {verdict(m)})")
    if "views_gain" in m:
        interval = f"{100 * m['views_gain_low']:+.2f} to {100 * m['views_gain_high']:+.2f}"
        out.print(
            f"{m['views']} views: top-1 {100 * m['views_gain']:+.2f} points against the image "
            f"alone (95% interval {interval}), {m['views_cost']:.1f} times its time"
        )
    if "temperature" in m:
        out.print(
            f"calibrated by temperature {m['temperature']:.3f}: ECE {m['ece_before']:.2%} before, "
            f"negative log-likelihood {m['nll_before']:.4f} before, {m['nll']:.4f} now"
        )
        if note := note_of_temperature(m):
            out.print(note)
    for name, images in (
        ("false_rejections", "these images"),
        ("unknown_rejected", f"{m.get('unknown_images', 0):,} other pictures"),
    ):
        if name in m:
            interval = f"{m[f'{name}_low']:.2%} to {m[f'{name}_high']:.2%}"
            right = name == "false_rejections" and m.get("right_rejected")
            cost = f"; {right:.2%} of the right answers" if right else ""
            out.print(f"not sure of {m[name]:.2%} of {images}  (95% interval {interval}{cost})")
    if "label_suspects" in m:
        out.print(
            f"labels {m['label_suspects']:,} suspected of being wrong  (label_suspects.csv; look "
            "at them in report.html)"
        )
    if "folds" not in m and (few := note_of_few(m)):
        out.print(few)
    for file in files:
        out.print(f"wrote {file}")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, wrapped: int | None = -1
) -> None:
    """Print a table; in a narrow window, wrap one column (default: the last; None: no column).

    Where that is not enough, the columns follow in several tables, each beginning with the first:
    a number that is cut looks like another.
    """
    out = stdout()
    lines = [[*map(shown, columns)], *([*map(shown, row)] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    wraps = None if wrapped is None else range(len(widths))[wrapped]
    least = [min(w, LEAST_WRAPPED) if i == wraps else w for i, w in enumerate(widths)]
    for number, part in enumerate(_parts(least, out.width)):
        if number:
            out.print()
        fits = _width(least, part) <= out.width
        table = Table(box=None, pad_edge=False)
        for i in part:
            table.add_column(lines[0][i], no_wrap=fits and i != wraps, overflow="fold")
        for line in lines[1:]:
            table.add_row(*(line[i] for i in part))
        out.print(table)


def _parts(widths: Sequence[int], window: int) -> list[list[int]]:
    """Divide columns so that each part with the first column is no wider than the window."""
    parts = [[0]]
    for i in range(1, len(widths)):
        if len(parts[-1]) > 1 and _width(widths, [*parts[-1], i]) > window:
            parts.append([0])
        parts[-1].append(i)
    return parts


def _width(widths: Sequence[int], columns: Sequence[int]) -> int:
    return sum(widths[i] + GAP for i in columns) - GAP


def stdout() -> Console:
    """Plain text on standard output, wrapped to the window if that is a terminal."""
    width = None if sys.stdout.isatty() else 1000
    return _Output(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


class _Output(Console):
    """A console of single lines, in which control characters are shown: some are parts of names.

    Like other output, it leaves broken pipes to `main`.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(shown(o) if isinstance(o, str) else o for o in objects), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def is_utf8(stream: TextIO) -> bool:
    """Return whether a stream can show all characters; one in memory can."""
    return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"


def write_rows(rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV, each value as `cell` makes it."""
    csv.writer(sys.stdout, lineterminator="\n").writerows(map(cell, row) for row in rows)
