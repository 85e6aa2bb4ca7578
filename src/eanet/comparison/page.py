"""Write a comparison as a page of HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

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
from eanet.metrics.evaluation import MANY_CLASSES
from eanet.pages.page import render_page, subtitle
from eanet.plots.svg import inline_svg
from eanet.text import in_markdown

SECTIONS = {  # the id is also the name of its template
    "result": "Result",
    "curves": "Curves",
    "size": "Accuracy by size",
    "runs": "Runs",
    "conditions": "Conditions",
}


def write_page(entries: Sequence[Entry], path: Path, *, title: str) -> Path:
    """Write the HTML page.

    Raises:
        EanetError: the file cannot be written.
    """
    sections = dict(SECTIONS)
    if not has_curves(entries):
        del sections["curves"]
    return render_page(
        path,
        "eanet.comparison",
        sections,
        title=title,
        subtitle=_subtitle(entries),
        conclusion=conclusion(entries),
        notes=notes(entries),
        models=rows(entries),
        caption=caption(entries),
        curves=_curves(entries) if "curves" in sections else [],
        size=inline_svg(
            partial(plot_parameters, entries), "Top-1 on the test images by parameters"
        ),
        runs=_runs(entries),
        conditions=list(_conditions(entries)),
    )


def _subtitle(entries: Sequence[Entry]) -> str:
    run = _runs_of(entries)[0]
    classes = run.config.data.classes
    what = f"{len(run.predictions.correct[1]):,} test images of {len(classes):,} classes"
    return subtitle(what, run.config.environment.recorded())


def _curves(entries: Sequence[Entry]) -> list[Markup]:
    return [
        inline_svg(partial(plot_progress, entries, panels=[panel]), label)
        for panel, label in (
            (BY_EPOCH, "Validation accuracy by epoch"),
            (BY_TIME, "Validation accuracy by time of training"),
        )
    ]


def _runs(entries: Sequence[Entry]) -> Rows:
    runs = _runs_of(entries)
    names = shortest_names([run.path for run in runs])
    many = len(runs[0].config.data.classes) >= MANY_CLASSES
    return [
        {
            "run": names[run.path],
            "seed": str(run.settings.seed),
            "top-1, %": f"{100 * run.top1:.2f}",
            **({"top-5, %": f"{100 * run.top5:.2f}"} if many else {}),
            "epochs": str(len(run.history)),
            "time": duration(run.seconds),
        }
        for run in runs
    ]


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
    texts = [in_markdown(text) for text in (conclusion(entries), caption(entries), *notes(entries))]
    blocks = [f"# {in_markdown(title)}", texts[0], markdown(rows(entries)), *texts[1:], *shown]
    with replacing(path) as partial_:
        partial_.write_text("\n\n".join(blocks) + "\n", "utf-8")
    return path
