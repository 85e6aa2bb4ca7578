"""What objects show of themselves in a notebook: HTML without scripts, in its colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eanet.pages.images import SheetImage, encoded

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_PICTURES = 12
MOST_IMAGES = 24  # of a sheet


class Figure(NamedTuple):
    """A figure with what it is, what to know of it and, as fractions, its interval."""

    name: str
    value: str
    note: str = ""
    interval: tuple[float, float] | None = None


def show(
    title: str,
    *,
    lead: str = "",
    figures: Iterable[Figure] = (),
    facts: Mapping[str, Any] | None = None,
    charts: Iterable[Markup] = (),
    tables: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    matrix: Mapping[str, Any] | None = None,
    bars: Iterable[tuple[str, float]] = (),
    sheets: Mapping[str, Sequence[SheetImage]] | None = None,
    pictures: Iterable[Path] = (),
    notes: Iterable[str] = (),
) -> str:
    """Return the HTML of an object; every text is escaped.

    Args:
        title: what it is.
        lead: its most important sentence.
        figures: shown large.
        facts: values by name.
        charts: what `eanet.plots.svg.svg_image` returns.
        tables: rows, as mappings from the same headings, by the name of the table.
        matrix: a confusion matrix, with ``classes``, ``shown`` and ``rows``.
        bars: names and fractions.
        sheets: images by their heading.
        pictures: PNG files, of which the first `MOST_PICTURES` are embedded.
        notes: what else to know, in one line each.
    """
    files = list(pictures)
    shown = [(path.name, encoded(path.read_bytes(), "png")) for path in files[:MOST_PICTURES]]
    more = [str(path) for path in files[MOST_PICTURES:]]
    return render(
        "eanet.pages",
        "notebook.html",
        title=title,
        lead=lead,
        figures=list(figures),
        facts=facts or {},
        charts=list(charts),
        tables=tables or {},
        matrix=matrix,
        bars=list(bars),
        sheets=sheets or {},
        pictures=shown,
        notes=[*notes, *([f"and {', '.join(more)}"] if more else [])],
    )


def render(package: str, template: str, **context: Any) -> str:
    """Return what a template of a package makes, within the frame that gives it its style."""
    # Here, so that a prediction need not wait for jinja2.
    from eanet.pages.page import asset, templates

    return templates(package).get_template(template).render(style=asset("notebook.css"), **context)
