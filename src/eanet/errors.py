"""The one exception that users see as a single line, and the near-miss suggestion for names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EanetError(Exception):
    """Something the user can put right; the message is one line that says what to do."""

    exit_code = 1


class WrongArgumentError(EanetError):
    """A setting that does not exist, or a value that it cannot have."""

    exit_code = 2


def unknown_name(kind: str, name: str, known: Iterable[str]) -> WrongArgumentError:
    """The error for a name that does not exist, with the nearest right one.

    Args:
        kind: what the name stands for, such as ``"model"``.
        name: what was asked for.
        known: every name that would have been right.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return WrongArgumentError(f"unknown {kind} {name!r}; {hint}")
