"""Files of weights (safetensors), opened as strangers' files, and what they say of a model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from eanet.errors import EanetError, one_line
from eanet.model_files.metadata import KEY, check_metadata

EXPORTED = (".onnx", ".pt2")  # files of `eanet export`, for programs without eanet
MOST_HEADER_BYTES = 1 << 24  # with the names of 100,000 classes


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata in a model file: see `eanet.models.weights.model_metadata`.

    For bundled models it also has ``training``: how the model was trained and what it scored.

    Raises:
        EanetError: the file is damaged, or was not written by this project.
    """
    with open_weights(path, framework="numpy") as (_, metadata):
        return metadata


@contextmanager
def open_weights(path: Path, framework: str = "pt") -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a safetensors file; yield it and its metadata.

    Args:
        path: of the file.
        framework: whose tensors it is to give: ``pt`` or ``numpy``.

    Raises:
        EanetError: as for `read_metadata`.
    """
    if path.suffix.lower() in EXPORTED:
        raise EanetError(f"{path} is an exported file; name the run or model that it is from")
    with ExitStack() as stack:
        try:
            _check_header(path)
            file = stack.enter_context(safe_open(_in_utf8(path, stack), framework=framework))
            metadata = json.loads((file.metadata() or {}).get(KEY, "{}"))
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            reason = one_line(error)[:200]
            raise EanetError(f"{path} is not a readable safetensors file ({reason})") from error
        yield file, check_metadata(metadata, str(path))


def _check_header(path: Path) -> None:
    """Raise a ValueError if a file's header is not as long as that of a model may be."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= min(MOST_HEADER_BYTES, path.stat().st_size - 8):
            raise ValueError(f"a header of {size:,} bytes")


def _in_utf8(path: Path, stack: ExitStack) -> str | Path:
    """Return a path of a file that is UTF-8, since safetensors takes no other."""
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        return f"/dev/fd/{stack.enter_context(path.open('rb')).fileno()}"
    return path
