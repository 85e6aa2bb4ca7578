"""The frame of every page: one HTML file in one style that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from eanet.files import replacing

_UNBROKEN = 10  # letters that a column of a phone's table has room for


def subtitle(what: str, environment: Mapping[str, Any]) -> str:
    """Return a page's subtitle: what it is about, and where and when that was trained."""
    where = [environment[key] for key in ("gpu", "processor") if key in environment][:1]
    trained = [f"trained on {name}" for name in where]
    when = [str(environment["date"])[:10]] if "date" in environment else []
    return " · ".join((what, *trained, *when))


def render_page(path: Path, package: str, sections: Mapping[str, str], **context: Any) -> Path:
    """Write a page from templates, which escape every value that is not `Markup`.

    Args:
        path: the file to write.
        package: its folder ``templates`` has a file ``ID.html`` for each section.
        sections: name of each section by its id, in order.
        **context: what the templates show: ``title`` and ``subtitle``, and what sections need.

    Raises:
        EanetError: the file cannot be written.
    """
    script = asset("page.js")
    text = (
        templates(package)
        .get_template("page.html")
        .render(
            sections=sections,
            style=asset("page.css"),
            script=script,
            script_hash=digest(script),
            **context,
        )
    )
    with replacing(path) as partial:  # file names may hold bytes that are not text
        partial.write_text(text, "utf-8", errors="replace")
    return path


@cache
def templates(package: str) -> Environment:
    """Return the templates of a package, with those of this one."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("eanet.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fmt"] = format  # as in f-strings: {{ share|fmt(".1%") }}
    environment.filters["setting"] = _format_setting
    environment.filters["breakable"] = _breakable
    return environment


def _format_setting(value: Any) -> str:
    """Format a YAML value for reading."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _breakable(text: str) -> Markup:
    """Allow breaks after punctuation of names, and within long words, which may find no other."""
    part = rf"[^-_/\\:,]{{1,{_UNBROKEN}}}[-_/\\:,]*|[-_/\\:,]+"
    words = (re.findall(part, word) for word in re.split(r"(\s+)", text))
    return Markup("").join(Markup("<wbr>").join(map(escape, parts)) for parts in words)


def asset(name: str, package: str = "eanet.pages") -> Markup:
    """Return a style sheet or a script from a package's folder ``templates``."""
    file = resources.files(package) / "templates" / name
    return Markup(file.read_text("utf-8").rstrip("\n"))


def digest(text: str) -> str:
    """Return the hash under which a page's policy allows a script or style within it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
