"""ONNX Runtime for browsers, where it is installed."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import REPOSITORY


def installed_runtime() -> Path | None:
    """The folder of the npm package onnxruntime-web."""
    places = (os.environ.get("EANET_ONNXRUNTIME_WEB"), REPOSITORY / "node_modules/onnxruntime-web")
    return next((Path(place) for place in places if place and Path(place).is_dir()), None)
