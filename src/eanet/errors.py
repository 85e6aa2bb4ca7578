"""The exceptions that users see as a single line, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EanetError(Exception):
    """A problem that the user can fix; the message is one line that says what to do."""

    exit_code = 1


class WrongArgumentError(EanetError):
    """An unknown setting, or an invalid value of one."""

    exit_code = 2


class InvalidAnswersError(EanetError):
    """A model whose answers are not finite."""

    def __init__(self) -> None:
        super().__init__(
            "the model's answers are infinite or NaN: its weights are damaged, or its training "
            "diverged; train it again"
        )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> WrongArgumentError:
    """Make the error for an unknown name, with the nearest valid one.

    Args:
        kind: what the name refers to, such as ``"model"``.
        name: the unknown name.
        known: all valid names.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return WrongArgumentError(f"unknown {kind} {name!r}; {hint}")
