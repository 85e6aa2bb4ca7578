"""The one style of every picture, and how a picture reaches the disk.

matplotlib's settings are the caller's: they are replaced while a picture is drawn and put back, and
pyplot is never used.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from eanet.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT, EMPTY = "#1f2933", "#616e7c", "#e4e7eb", "#ececec"
# Blue against orange stays apart in every common colour blindness and in print.
BLUE, ORANGE = "#0b66b0", "#c2500a"
# For curves that are named where they end.
SERIES = (BLUE, ORANGE, "#15803d", "#8b3fb8", "#8a6d00", "#c0256f")

_STYLE = {
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5 and $10"
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "savefig.bbox": "tight",  # what reaches beyond the edge widens the picture, nothing is cut
    "svg.fonttype": "none",  # text stays text
}
_FONT = "DejaVu Sans"  # comes with matplotlib
# For class names in Chinese, Japanese or Korean, which that font lacks.
_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
)
# Bold in that font alone: matplotlib logs a warning for every other one that has no bold.
BOLD: dict[str, Any] = {"family": _FONT, "weight": "bold"}
_lock = threading.Lock()  # matplotlib's settings belong to the whole process


@contextmanager
def picture(path: Path, width: float, height: float, dpi: int) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches, written to ``path`` as PNG or SVG on leaving.

    Raises:
        EanetError: the file cannot be written; what was there before stays.
    """
    from matplotlib import font_manager, style
    from matplotlib.figure import Figure

    padding = 0 if path.suffix == ".svg" else 0.25  # a page has its own
    installed = set(font_manager.get_font_names())
    fonts = [_FONT, *(font for font in _FALLBACK_FONTS if font in installed)]
    with _lock, style.context([_STYLE | {"font.family": fonts}], after_reset=True):
        figure = Figure(figsize=(width, height), dpi=dpi)
        yield figure
        with replacing(path) as partial:
            figure.savefig(partial, format=path.suffix[1:], pad_inches=padding)


# What the colours are called in the style sheet of a page, which has them for light and for dark.
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


def inline_svg(draw: Callable[[Path], object], label: str) -> str:
    """The SVG element that ``draw`` writes into a file, fit for a page of HTML.

    Its colours and fonts become those of the page, its ids go as far as nothing refers to them.
    ``label`` is read to those who do not see it.
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
    return re.sub("#[0-9a-f]{6}", lambda m: _PAGE_COLOURS.get(m[0], m[0]), svg)


def write_title(axes: Axes, title: str, points: float) -> None:
    """Write the title of a picture so many points above the left end of ``axes``."""
    if not title:  # which would take its room nevertheless
        return
    weight = BOLD if title.isascii() else {}
    axes.annotate(
        title,
        (0, 1),
        xytext=(0, points),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=15,
        **weight,
    )


def text_width(text: str, size: float) -> float:
    """The width in inches of a text of ``size`` points; call it while drawing a picture."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    points, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return points / 72


def shorten(text: str, size: float, inches: float) -> str:
    """Cut the end of a text, with an ellipsis, until it is at most so many inches wide."""
    if text_width(text, size) <= inches:
        return text
    kept = len(text) - 1
    while kept > 1 and text_width(text[:kept].rstrip() + "…", size) > inches:
        kept -= 1
    return text[:kept].rstrip() + "…"
