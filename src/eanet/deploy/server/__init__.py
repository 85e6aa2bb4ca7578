"""A model behind HTTP: a page for people with photographs, and an interface for programs."""

from __future__ import annotations

from importlib.util import find_spec

from eanet.errors import EanetError

_NEEDED = {"fastapi": "FastAPI", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def check_installed() -> None:
    """Raise an `EanetError` if what serving needs is not installed."""
    missing = [name for module, name in _NEEDED.items() if find_spec(module) is None]
    if missing:
        packages = " ".join(missing).lower()
        raise EanetError(f"serving needs {', '.join(missing)}: pip install {packages}")
