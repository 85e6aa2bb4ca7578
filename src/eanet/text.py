"""Text that strangers may have written, such as names of files and classes: made harmless."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from numbers import Real
from typing import Any

_CONTROLS = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)),  # order, lines
)
_SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS}
# Bytes that are not UTF-8 stay as they are, but for those that some terminals obey.
_SHOWN |= {0xDC00 + code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}

# What has a meaning within a line of Markdown; an underscore has none between letters.
_MARKS = re.compile(r"[\\`*\[\]|~]|<(?=[A-Za-z/!?])|&(?=#|\w+;)|(?<![^\W_])_|_(?![^\W_])")

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def shown(text: str) -> str:
    r"""Return a line of text with control characters as escapes, such as ``\x1b``.

    They could clear the screen, change what was printed before or make the rest run backwards.
    """
    return text.translate(_SHOWN)


def isolated(text: str) -> str:
    """Return a name, as `shown` does, so that it does not turn the words around it.

    Without these characters, which have no width, "2 A taken for B" would read "B taken for A 2"
    with names that are written from right to left.
    """
    text = shown(text)  # or the name could end what isolates it
    is_turned = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}" if is_turned else text


def in_markdown(text: str) -> str:
    """Return a line of text, as `shown` does, for Markdown that shows it as it is."""
    text = _MARKS.sub(r"\\\g<0>", shown(text))
    return re.sub(r"^(\d*)(?=[#>]|[-+.)](\s|$)|---)", r"\1\\", text)


def some(names: Sequence[str], most: int = 5) -> str:
    """Return names as a list, such as ``a, b and 2 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def cell(value: Any) -> Any:
    r"""Return what to write into a CSV file for a value: numbers and None unchanged, else text.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, by which
    spreadsheets take it for text.
    """
    if value is None or isinstance(value, Real):
        return value
    text = str(value)
    return ("'" if text.startswith(_FORMULAS) and not _is_number(text) else "") + shown(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
