"""Whether output goes to a notebook, and a place in it that can be drawn anew."""

from __future__ import annotations

import sys
from typing import Any


def _shell() -> Any:
    """Return IPython's shell if a Jupyter kernel runs this process; None otherwise."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return shell if hasattr(shell, "kernel") else None


def in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this process."""
    return _shell() is not None


def is_watched() -> bool:
    """Return whether somebody looks at the notebook while it runs.

    Whoever runs one to write it into a file (nbconvert, papermill) cannot answer a question, and
    says so in the request that a cell is run by.
    """
    shell = _shell()
    if shell is None:
        return False
    request = shell.get_parent() or {}
    return bool(request.get("content", {}).get("allow_stdin", True))


class Place:
    """A place in the output of the cell that runs; each drawing replaces the one before."""

    def __init__(self) -> None:
        self._handle: Any = None

    def draw(self, html: str, text: str) -> None:
        """Show HTML, or the text where there is none."""
        from IPython.display import DisplayHandle

        content = {"text/html": html, "text/plain": text}
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(content, raw=True)
        else:
            self._handle.update(content, raw=True)
