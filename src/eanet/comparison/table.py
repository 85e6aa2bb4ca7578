"""The table of a comparison as text cells, as Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eanet.comparison.entries import Entry
from eanet.comparison.words import signed
from eanet.console import duration, short
from eanet.files import write_csv
from eanet.metrics.evaluation import MANY_CLASSES
from eanet.text import in_markdown

NONE = "-"
COSTS = ("parameters", "multiply-adds", "training time", "memory, MiB", "images/s")
SCORES = ("top-1, %", "top-5, %", "difference", "p")

FIGURES = (
    "model", "seeds", "failed", "parameters", "multiply_adds", "training_seconds",
    "peak_memory_bytes", "training_images_per_second", "top1", "top1_sd", "top5", "top5_sd",
    "difference", "difference_low", "difference_high", "p", "pairs",
)  # fmt: skip

Rows = list[dict[str, str]]


def rows(entries: Sequence[Entry]) -> Rows:
    """Return one row per model: text by column heading, without columns that have no figures."""
    table = [{"model": entry.name, **_cells(entry)} for entry in entries]
    used = [head for head in table[0] if any(row[head] != NONE for row in table)]
    return [{head: row[head] for head in used} for row in table]


def _cells(entry: Entry) -> dict[str, str]:
    cells = dict.fromkeys((*SCORES, *COSTS), NONE)
    if not entry.runs:
        return cells | {SCORES[0]: "failed"}
    memory, gain = entry.peak_memory, entry.difference
    cells |= {
        "parameters": f"{entry.parameters:,}",
        "multiply-adds": short(entry.multiply_adds),
        "training time": duration(entry.seconds),
        "images/s": short(entry.images_per_second),
        "top-1, %": _accuracy(entry, "top1"),
    }
    if memory is not None:
        cells["memory, MiB"] = short(memory / 2**20)
    if len(entry.runs[0].config.data.classes) >= MANY_CLASSES:
        cells["top-5, %"] = _accuracy(entry, "top5")
    if gain is not None:
        cells["difference"] = signed(gain.mean)
        if gain.low is not None and gain.high is not None:
            cells["difference"] += f" ({signed(gain.low)} to {signed(gain.high)})"
        cells["p"] = f"{gain.p:.3f}" if gain.p >= 0.001 else "<0.001"
    return cells


def _accuracy(entry: Entry, figure: str) -> str:
    text, deviation = f"{100 * entry.mean(figure):.2f}", entry.deviation(figure)
    if deviation is not None:
        text += f" ± {100 * deviation:.2f}"
    done = len(entry.runs)
    return f"{text} ({done} of {done + len(entry.failures)})" if entry.failures else text


def markdown(table: Rows) -> str:
    """Format the table as Markdown."""
    heads = list(table[0])
    cells = ([in_markdown(name), *figures] for name, *figures in (row.values() for row in table))
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_models(entries: Sequence[Entry], path: Path) -> Path:
    """Write the figures of the table as CSV, one row per model, accuracies as fractions."""
    return write_csv(path, FIGURES, (_figures(entry) for entry in entries))


def figures(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """Return what `write_models` writes as columns; accuracies and differences are fractions."""
    columns = zip(*(_figures(entry) for entry in entries), strict=True)
    return {name: list(values) for name, values in zip(FIGURES, columns, strict=True)}


def _figures(entry: Entry) -> list[Any]:
    start = [entry.name, len(entry.runs), len(entry.failures)]
    if not entry.runs:
        return [*start, *[None] * 14]
    gain = entry.difference
    return [
        *start,
        entry.parameters,
        entry.multiply_adds,
        entry.seconds,
        entry.peak_memory,
        entry.images_per_second,
        *(f(k) for k in ("top1", "top5") for f in (entry.mean, entry.deviation)),
        *([None] * 5 if gain is None else [gain.mean, gain.low, gain.high, gain.p, gain.seeds]),
    ]


def write_runs(entries: Sequence[Entry], path: Path) -> Path:
    """Write one row per run as CSV, as raw data for other statistics."""
    heads = ("model", "seed", "top1", "top5", "epochs", "training_seconds",
             "training_images_per_second", "peak_memory_bytes", "failed", "run")  # fmt: skip
    lines: list[list[Any]] = []
    for entry in entries:
        lines += [
            [entry.name, run.settings.seed, run.top1, run.top5, len(run.history), run.seconds,
             run.images_per_second, run.peak_memory, None, run.path]
            for run in entry.runs
        ]  # fmt: skip
        lines += [
            [entry.name, failure.seed, *[None] * 6, failure.reason, None]
            for failure in entry.failures
        ]
    return write_csv(path, heads, lines)
