"""Export a trained model to a file for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from eanet.deploy.export.metadata import KEY
from eanet.deploy.export.onnx_file import read_properties, write_onnx
from eanet.deploy.export.web import MODEL, write_web
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import check_writable, user_path
from eanet.models import Classifier, load_model
from eanet.models.weights import model_digest


class Format(NamedTuple):
    """A kind of exported file: its suffix, empty for a folder, and what writes it."""

    suffix: str
    write: Callable[[Classifier, Path, str], Path]


FORMATS = {"onnx": Format(".onnx", write_onnx), "web": Format("", write_web)}


@dataclass(frozen=True)
class Export:
    """An exported model.

    Attributes:
        path: of the file or folder.
        size: in bytes.
    """

    path: Path
    size: int


def export_model(
    where: str | Path,
    *,
    file_format: str = "onnx",
    output: str | Path | None = None,
    runtime: str | Path | None = None,
) -> Export:
    """Export a trained model; see `eanet.export`."""
    if file_format not in FORMATS:
        raise unknown_name("format", file_format, FORMATS)
    kind = FORMATS[file_format]
    if runtime is not None:
        if file_format != "web":
            raise WrongArgumentError("a runtime belongs to the format web alone")
        kind = kind._replace(write=partial(write_web, runtime=user_path(runtime)))
    model = load_model(where)
    path = _default_path(where, kind.suffix) if output is None else user_path(output)
    if kind.suffix:
        _check_output(path, kind.suffix)
    else:
        _check_folder(path)
    kind.write(model, path, model_digest(where))
    return Export(path, _size(path))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _default_path(where: str | Path, suffix: str) -> Path:
    """``model`` in a run directory; beside a model file; else in the current folder.

    A folder is called ``web``, or like the model with ``-web``.
    """
    path = user_path(where)
    if not suffix:
        return path / "web" if path.is_dir() else path.with_name(f"{path.stem}-web")
    if path.is_dir():
        return path / f"model{suffix}"
    return path.with_suffix(suffix) if path.is_file() else Path(f"{path.name}{suffix}")


def _check_output(path: Path, suffix: str) -> None:
    """Raise before long work if its result could not or should not be written to ``path``.

    Only files that were exported by eanet are replaced.
    """
    if path.is_dir():
        raise WrongArgumentError(
            f"{path} is a folder; name a file, such as {path / f'model{suffix}'}"
        )
    if path.suffix.lower() != suffix:
        raise WrongArgumentError(f"{path}: name a file that ends in {suffix}")
    check_writable(path.parent)
    if path.exists() and KEY not in read_properties(path):
        raise EanetError(
            f"{path} exists and was not exported by eanet: remove it, or name another file with "
            "--output"
        )


def _check_folder(path: Path) -> None:
    """Likewise for a folder: only one that was exported by eanet is written to again."""
    check_writable(path)
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() and KEY not in read_properties(path / MODEL):
        raise EanetError(
            f"{path} exists and was not exported by eanet: name another folder with --output"
        )
