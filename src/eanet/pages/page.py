"""The frame of every page: one HTML file in one style that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from eanet.files import replacing

_ASSETS = resources.files("eanet.pages") / "assets"


def subtitle(what: str, environment: Mapping[str, Any]) -> str:
    """Return a page's subtitle in HTML: what it is about, and where and when that was trained."""
    where = [environment[key] for key in ("gpu", "processor") if key in environment][:1]
    trained = [f"trained on {name}" for name in where]
    when = [str(environment["date"])[:10]] if "date" in environment else []
    return " · ".join(escape(part) for part in (what, *trained, *when))


def write_sections(
    path: Path, title: str, subtitle: str, sections: Sequence[tuple[str, str, str]]
) -> Path:
    """Write a page.

    Args:
        path: the file to write.
        title: plain text.
        subtitle: in HTML.
        sections: id, name and HTML content of each.

    Raises:
        EanetError: the file cannot be written.
    """
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    text = Template(_asset("report.html")).substitute(
        title=escape(title),
        subtitle=subtitle,
        style=_asset("report.css"),
        links="\n".join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections),
        sections="\n".join(
            f'<section id="{key}" aria-labelledby="{key}-head">'
            f'<h2 id="{key}-head">{name}</h2>\n{content}\n</section>'
            for key, name, content in sections
        ),
        script=script,
        script_hash=f"sha256-{digest}",
    )
    with replacing(path) as partial:  # file names may hold bytes that are not text
        partial.write_text(text, "utf-8", errors="replace")
    return path


def fact_list(rows: Iterable[tuple[str, Any]]) -> str:
    """Format names and values as a list in HTML."""
    items = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_shown(value))}</dd></div>"
        for name, value in rows
    )
    return f'<dl class="facts">\n{items}\n</dl>'


def _shown(value: Any) -> str:
    """Format a YAML value for reading."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8").rstrip("\n")
