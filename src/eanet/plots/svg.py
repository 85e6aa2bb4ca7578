"""Plots as SVG within a page, in its colours and fonts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from markupsafe import Markup, escape

from eanet.plots.style import BLUE, EMPTY, FAINT, INK, MUTED, ORANGE, SERIES

# Names of the colours in a page's style sheet, which defines them for light and dark mode.
_PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    FAINT: "var(--line)",
    EMPTY: "var(--line)",
    BLUE: "var(--right)",
    ORANGE: "var(--wrong)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES[2:], 3)},
    "#ffffff": "var(--card)",
}


def inline_svg(draw: Callable[[Path], object], label: str) -> Markup:
    """Return the SVG element that ``draw`` writes into a file, adapted to a page of HTML.

    Colours and fonts become those of the page, and unreferenced ids are removed. ``label`` is for
    screen readers.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        draw(path)
        svg = path.read_text("utf-8")
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' (xmlns(:xlink)?|version|height)="[^"]*"', "", svg, count=4)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    used = set(re.findall(r"#([\w.-]+)[\")]", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    return Markup(re.sub("#[0-9a-f]{6}", lambda m: _PAGE_COLOURS.get(m[0], m[0]), svg))
