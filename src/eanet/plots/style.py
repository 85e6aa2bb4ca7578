"""The common style of all pictures, and how they are written to disk.

matplotlib's settings belong to the caller: they are replaced only while a picture is drawn, and
pyplot is never used.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eanet.console import notice_once
from eanet.files import replacing
from eanet.pages.images import TINY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT, EMPTY = "#1f2933", "#616e7c", "#e4e7eb", "#ececec"
# Blue and orange stay distinct in every common form of colour blindness and in print.
BLUE, ORANGE = "#0b66b0", "#c2500a"
# For curves that are labelled at their ends.
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
    "savefig.bbox": "tight",  # widens the picture rather than cut anything off
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
# Bold in that font only: matplotlib logs a warning for each other font without bold.
BOLD: dict[str, Any] = {"family": _FONT, "weight": "bold"}
_lock = threading.Lock()  # matplotlib's settings belong to the whole process


@contextmanager
def picture(path: Path, width: float, height: float, dpi: int) -> Iterator[Figure]:
    """Yield a figure of ``width`` x ``height`` inches; write it to ``path`` as PNG or SVG on exit.

    Raises:
        EanetError: the file cannot be written; an existing file stays as it was.
    """
    from matplotlib import font_manager, style
    from matplotlib.figure import Figure

    padding = 0 if path.suffix == ".svg" else 0.25  # a page has its own padding
    installed = set(font_manager.get_font_names())
    fonts = [_FONT, *(font for font in _FALLBACK_FONTS if font in installed)]
    # Ids within SVG are random without a salt, so that no two files of the same would be equal.
    own = {"font.family": fonts, "svg.hashsalt": path.stem}
    setting = style.context([_STYLE | own], after_reset=True)
    with _lock, setting, _missing_characters_said_once():
        figure = Figure(figsize=(width, height), dpi=dpi)
        yield figure
        with replacing(path) as partial:
            figure.savefig(partial, format=path.suffix[1:], pad_inches=padding)


@contextmanager
def _missing_characters_said_once() -> Iterator[None]:
    """Replace matplotlib's warning for each character that no font has by one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", r"Glyph \d+ .* missing from font")
        yield
    for warning in caught:
        if "missing from font" in str(warning.message):
            notice_once(
                "some characters of names are boxes in pictures, because no installed font that is "
                f"known here has them; install one, such as {_FALLBACK_FONTS[0]}"
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def smoothing(side: int) -> str:
    """Return matplotlib's interpolation for an image of ``side`` pixels."""
    return "nearest" if side <= TINY else "bicubic"


def write_title(axes: Axes, title: str, points: float) -> None:
    """Write a picture's title, ``points`` points above the left end of ``axes``."""
    if not title:  # which would still take up room
        return
    weight = BOLD if title.isascii() else {}
    annotate(axes, title, (0, 1), (0, points), fontsize=15, **weight)


def annotate(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    """Write a text ``offset`` points from a place, which is a fraction of ``axes`` by default."""
    style = {"xycoords": "axes fraction", **style}
    axes.annotate(text, place, xytext=offset, textcoords="offset points", **style)


def text_width(text: str, size: float) -> float:
    """Return a text's width in inches at ``size`` points; call it while drawing a picture."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    points, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return points / 72
