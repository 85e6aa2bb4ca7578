"""The exceptions that users see as a single line, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from eanet.elsewhere import name_here
from eanet.text import some

MOST_NAMES = 20  # that an error lists
COMPILER = ("torch._dynamo", "torch._inductor")


class EanetError(Exception):
    """A problem that the user can fix; the message is one line that says what to do.

    Examples:
        >>> eanet.create_model("vti")
        Traceback (most recent call last):
        eanet.errors.WrongArgumentError: unknown model 'vti'; did you mean 'vit'?
    """

    exit_code = 1


class NotStartedError(EanetError):
    """A process of its own for a call ended before the call began."""


class WrongArgumentError(EanetError):
    """An unknown setting, or an invalid value of one."""

    exit_code = 2


class NonFiniteOutputError(EanetError):
    """A model whose outputs are not finite."""

    def __init__(
        self,
        message: str = "the model's outputs are infinite or NaN: its weights are damaged, or its "
        "training diverged; train it again",
    ) -> None:
        super().__init__(message)  # passed on, since exceptions are pickled with their arguments


def one_line(error: Exception) -> str:
    """Return what the error of a library says, in one line; the name of its kind if nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def error_line(error: Exception) -> str:
    """Format an error that nobody expected as one line, with a remedy if the compiler failed."""
    kind, reason = type(error), " ".join(str(error).split())
    if kind.__module__.startswith(COMPILER):  # the other lines are pages of generated code
        reason = f"{str(error).strip().splitlines()[0]}; --compile off does without the compiler"
    return f"{kind.__name__}: {reason}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``name`` is probably a misspelling of, if there is one.

    The dashes of options do not count.
    """
    names = {other.lstrip("-"): other for other in sorted(known, reverse=True)}
    near = difflib.get_close_matches(name.lstrip("-"), names, n=1, cutoff=0.65)
    return names[near[0]] if near else None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> WrongArgumentError:
    """Make the error for an unknown name, with the one that is meant or nearest, or else with all.

    Args:
        kind: what the name refers to, such as ``"model"``.
        name: the unknown name.
        known: all valid names.
    """
    names = sorted(known)
    if here := name_here(name, names):
        return WrongArgumentError(f"unknown {kind} {name!r}; here it is {here!r}")
    if near := nearest(name, names):
        return WrongArgumentError(f"unknown {kind} {name!r}; did you mean {near!r}?")
    return WrongArgumentError(f"unknown {kind} {name!r}; known: {some(names, MOST_NAMES)}")
