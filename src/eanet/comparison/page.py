"""Write a comparison as a page of HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from eanet.comparison.entries import NOT_CONDITIONS, Entry, differing_conditions, shortest_names
from eanet.comparison.plots import (
    BY_EPOCH,
    BY_TIME,
    has_curves,
    plot_parameters,
    plot_progress,
)
from eanet.comparison.runs import Run
from eanet.comparison.table import Rows, markdown, rows
from eanet.comparison.words import caption, conclusion, notes
from eanet.console import duration
from eanet.files import replacing
from eanet.pages.page import fact_list, subtitle, write_sections
from eanet.pages.svg import inline_svg


def write_page(entries: Sequence[Entry], path: Path, *, title: str) -> Path:
    """Write the HTML page.

    Raises:
        EanetError: the file cannot be written.
    """
    parts = [("result", "Result", _result(entries))]
    if has_curves(entries):
        parts.append(("curves", "Curves", _curves(entries)))
    parts += [
        ("size", "Accuracy by size", _size(entries)),
        ("runs", "Runs", _runs(entries)),
        ("conditions", "Conditions", fact_list(_conditions(entries))),
    ]
    return write_sections(path, title, _subtitle(entries), parts)


def _subtitle(entries: Sequence[Entry]) -> str:
    run = _runs_of(entries)[0]
    classes = run.config.data.classes
    what = f"{len(run.predictions.correct[1]):,} test images of {len(classes):,} classes"
    return subtitle(what, run.config.environment.recorded())


def _result(entries: Sequence[Entry]) -> str:
    warnings = "".join(f'<p class="warning">{escape(note)}</p>\n' for note in notes(entries))
    return (
        f"<p><strong>{escape(conclusion(entries))}</strong></p>\n{warnings}"
        f"{_table(rows(entries), 'Models')}\n"
        f'<p class="note">{escape(caption(entries))}</p>'
    )


def _table(table: Rows, name: str) -> str:
    head = "".join(f'<th scope="col"><span>{escape(head)}</span></th>' for head in table[0])
    body = ""
    for row in table:
        first, *others = (escape(cell) for cell in row.values())
        body += f'<tr><th scope="row">{first}</th>'
        body += "".join(f"<td>{cell}</td>" for cell in others) + "</tr>\n"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="figures whole"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}</tbody></table></div>"
    )


def _curves(entries: Sequence[Entry]) -> str:
    intro = (
        "Thick: the mean of the seeds; faint: each seed. Equal epochs show what models learn "
        "from the same images, equal time what they learn in the same time."
    )
    charts = "".join(
        f"<div>{inline_svg(partial(plot_progress, entries, panels=[panel]), label)}</div>"
        for panel, label in (
            (BY_EPOCH, "Validation accuracy by epoch"),
            (BY_TIME, "Validation accuracy by time of training"),
        )
    )
    return f'<p>{intro}</p>\n<div class="columns">{charts}</div>'


def _size(entries: Sequence[Entry]) -> str:
    chart = inline_svg(partial(plot_parameters, entries), "Top-1 on the test images by parameters")
    return f'<div class="columns"><div>{chart}</div></div>'


def _runs(entries: Sequence[Entry]) -> str:
    runs = _runs_of(entries)
    names = shortest_names([run.path for run in runs])
    table = [
        {
            "run": names[run.path],
            "seed": str(run.settings.seed),
            "top-1, %": f"{100 * run.top1:.2f}",
            "top-5, %": f"{100 * run.top5:.2f}",
            "epochs": str(len(run.history)),
            "time": duration(run.seconds),
        }
        for run in runs
    ]
    intro = "Each run is a directory with a report of its own; runs.csv has these figures."
    return f"<p>{intro}</p>\n{_table(table, 'Runs')}"


def _conditions(entries: Sequence[Entry]) -> Iterator[tuple[str, Any]]:
    """Yield what all runs have in common."""
    runs, differ = _runs_of(entries), differing_conditions(entries)
    if "images" not in differ:
        for split, count in runs[0].config.data.images.items():
            yield f"{split} images", f"{count:,}"
    for name, value in runs[0].settings.model_dump(mode="json", exclude=NOT_CONDITIONS).items():
        if name not in differ:
            yield name.replace("_", " "), value
    machines = [run.config.environment for run in runs]
    for name in ("eanet", "torch", "python", "processor", "gpu", "cores", "platform"):
        values = {getattr(machine, name) for machine in machines}
        if len(values) == 1 and values != {None}:
            yield name, values.pop()


def _runs_of(entries: Sequence[Entry]) -> list[Run]:
    return [run for entry in entries for run in entry.runs]


def write_markdown(
    entries: Sequence[Entry], path: Path, *, title: str, pictures: Sequence[Path]
) -> Path:
    """Write the comparison as Markdown that shows pictures from the same folder.

    Raises:
        EanetError: the file cannot be written.
    """
    shown = [f"![{picture.stem}]({picture.name})" for picture in pictures]
    blocks = [f"# {title}", conclusion(entries), markdown(rows(entries)), caption(entries)]
    blocks += [*notes(entries), *shown]
    with replacing(path) as partial_:
        partial_.write_text("\n\n".join(blocks) + "\n", "utf-8")
    return path
