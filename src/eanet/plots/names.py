"""Names cut to the room there is, so that different names stay different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from eanet.plots.style import text_width
from eanet.text import isolated, shown

Fits = Callable[[str], bool]


def cut_names(names: Iterable[str], fits: Fits) -> dict[str, str]:
    """Cut names at their end or, where that makes two the same, in their middle.

    If that is not enough, they end with a number. Control characters are shown, not obeyed.

    Args:
        names: those that stand together.
        fits: whether a text is short enough.

    Returns:
        What to show, by name.
    """
    texts = {name: shown(name) for name in names}  # a line break would write over what is below
    cut = {
        name: text if fits(text) else _longest(partial(_end, text), text, fits)
        for name, text in texts.items()
    }
    for name in _alike(cut):
        cut[name] = _longest(partial(_middle, texts[name]), texts[name], fits)
    for number, name in enumerate(_alike(cut), 1):
        cut[name] = _longest(partial(_end, texts[name], mark=f"…{number}"), texts[name], fits)
    return {name: isolated(text) for name, text in cut.items()}


def shorten_names(names: Iterable[str], size: float, inches: float) -> dict[str, str]:
    """Cut names as `cut_names` to ``inches`` at ``size`` points; call it while drawing."""
    return cut_names(names, lambda text: text_width(text, size) <= inches)


def shorten(text: str, size: float, inches: float) -> str:
    """Cut a text that stands alone as `shorten_names` does."""
    return shorten_names([text], size, inches)[text]


def _alike(cut: Mapping[str, str]) -> list[str]:
    """Return the names that are shown as another one is."""
    counts = Counter(cut.values())
    return [name for name, text in cut.items() if counts[text] > 1]


def _end(name: str, kept: int, mark: str = "…") -> str:
    return name[:kept].rstrip() + mark


def _middle(name: str, kept: int) -> str:
    tail = kept // 2
    return name[: kept - tail].rstrip() + "…" + name[len(name) - tail :].lstrip()


def _longest(cut: Callable[[int], str], name: str, fits: Fits) -> str:
    """Return the longest cut of a name that fits, of one letter at least."""
    low, high = 1, max(1, len(name) - 1)
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if fits(cut(kept)) else (low, kept - 1)
    return cut(low)
