"""Imports OpenVINO without its telemetry.

By default, importing it writes into the user's home and reports to Google Analytics. Programs that
have imported it before have decided for themselves.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from types import ModuleType

TELEMETRY = "openvino_telemetry"


@cache
def load_openvino() -> ModuleType:
    """Return the package; where it would report, it takes the stub that it has for that."""
    is_ours = TELEMETRY not in sys.modules
    if is_ours:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # Python's way to say: not there
    try:
        return import_module("openvino")
    finally:
        if is_ours:
            del sys.modules[TELEMETRY]
