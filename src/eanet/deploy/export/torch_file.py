"""Programs of PyTorch: computed without eanet, by `torch.export.load`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch

from eanet.deploy.export.metadata import file_metadata
from eanet.deploy.export.program import Pixels, Probabilities, quiet, trace
from eanet.files import replacing
from eanet.models import Classifier


def write_torch(model: Classifier, path: Path, weights_sha256: str | None = None) -> Path:
    """Write a model as a program of PyTorch, with the interface of `Program`.

    What it says about itself is in extra files of these names: see `file_metadata`.

    Raises:
        EanetError: the model cannot be exported, or the file cannot be written.
    """
    content = io.BytesIO()
    with quiet():
        torch.export.save(
            trace(model), content, extra_files={**file_metadata(model, weights_sha256)}
        )
    with replacing(path) as partial:
        partial.write_bytes(content.getbuffer())
    return path


def open_torch(path: Path) -> Callable[[Pixels], Probabilities]:
    """Load a program that `write_torch` wrote; one of somebody else could execute code."""
    with quiet():
        program = torch.export.load(path).module()

    @torch.inference_mode()
    def answer(pixels: Pixels) -> Probabilities:
        result: Probabilities = program(torch.tensor(pixels))[1].numpy()
        return result

    return answer


def read_extra_files(path: Path) -> dict[str, str]:
    """Return what a program says about itself; nothing if it is no such file. Executes nothing."""
    try:
        with ZipFile(path) as archive:
            names = [name for name in archive.namelist() if "/extra/" in name]
            return {name.rpartition("/")[2]: archive.read(name).decode() for name in names}
    except (BadZipFile, OSError, ValueError):
        return {}
