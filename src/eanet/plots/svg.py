"""Plots as SVG within a page, in its colours and fonts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

from markupsafe import Markup, escape

from eanet.pages.images import encoded
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
# Visible on white and on black alike: an image does not know the colours around it.
_ANYWHERE = {
    INK: "#6f7a86",
    MUTED: "#7d8894",
    FAINT: "#80808055",
    EMPTY: "#80808055",
    BLUE: "#2f7fc9",
    ORANGE: "#d8641c",
    **dict(zip(SERIES[2:], ("#2c9350", "#a45fd3", "#a08200", "#d6468c"), strict=True)),
    "#ffffff": "#ffffff00",
}


def svg_image(draw: Callable[[Path], object], label: str) -> Markup:
    """Return an image element with the SVG that ``draw`` writes, for light and dark surroundings.

    Other than `inline_svg`, it is shown where elements of SVG are removed from a page, as notebooks
    do that were written by somebody else. ``label`` is for screen readers.
    """
    svg = re.sub(r"<(metadata)\b.*?</\1>", "", _drawn(draw, label), flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", svg)
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 sans-serif", svg)
    svg = re.sub("#[0-9a-f]{6}", lambda m: _ANYWHERE.get(m[0], m[0]), svg)
    source = encoded(svg.encode(), "svg+xml")
    return Markup('<img class="chart" width="420" alt="{}" src="{}">').format(label, source)


def inline_svg(draw: Callable[[Path], object], label: str) -> Markup:
    """Return the SVG element that ``draw`` writes into a file, adapted to a page of HTML.

    Colours and fonts become those of the page, and unreferenced ids are removed. ``label`` is for
    screen readers; each drawing of a page has its own, from which its ids follow.
    """
    svg = _drawn(draw, label)
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' (xmlns(:xlink)?|version|height)="[^"]*"', "", svg, count=4)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    used = set(re.findall(r"#([\w.-]+)[\")]", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    return Markup(re.sub("#[0-9a-f]{6}", lambda m: _PAGE_COLOURS.get(m[0], m[0]), svg))


def _drawn(draw: Callable[[Path], object], label: str) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{crc32(label.encode()):08x}.svg"
        draw(path)
        return path.read_text("utf-8")
