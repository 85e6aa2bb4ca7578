"""Export a trained model to a file for other programs, and compare its answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from eanet.console import notice
from eanet.deploy.export.images import OwnImages, originals_of
from eanet.deploy.export.int8 import AccuracyLoss, write_int8
from eanet.deploy.export.onnx_file import open_onnx, read_properties, write_onnx
from eanet.deploy.export.parity import Parity, measure_parity
from eanet.deploy.export.program import Pixels, Probabilities
from eanet.deploy.export.torch_file import open_torch, read_extra_files, write_torch
from eanet.deploy.export.web import MODEL, write_web
from eanet.deploy.predictor import Predictor
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import check_writable, read_text, user_path, write_json
from eanet.model_files.find import model_digest
from eanet.model_files.metadata import KEY
from eanet.models import Classifier, load_model
from eanet.parsing import parse_json

FindImages = Callable[[Classifier], OwnImages | None]
Judge = Callable[[Classifier, Path, OwnImages], AccuracyLoss]

FIGURES = "parity"  # in the JSON beside every export


class Format(NamedTuple):
    """A kind of exported file.

    Attributes:
        suffix: of its name; empty for a folder.
        write: writes a model, the SHA-256 of whose file is the last argument.
        open: loads a file that was written to compute with.
        read_properties: returns what a file says about itself; nothing if it is of another kind.
        model: name of this file in the folder.
    """

    suffix: str
    write: Callable[[Classifier, Path, str], Path]
    open: Callable[[Path], Callable[[Pixels], Probabilities]]
    read_properties: Callable[[Path], dict[str, str]]
    model: str = ""


FORMATS = {
    "onnx": Format(".onnx", write_onnx, open_onnx, read_properties),
    "torch": Format(".pt2", write_torch, open_torch, read_extra_files),
    "web": Format("", write_web, open_onnx, read_properties, MODEL),
}


@dataclass(frozen=True)
class Export:
    """An exported model.

    Attributes:
        path: of the file or folder.
        size: in bytes.
        parity: how far its answers are from those of the model.
        loss: of accuracy, if it computes in 8 bits.
        speedup: in 8 bits, as a multiple of the speed without: see `write_int8`.
        report: the last three as JSON, beside it.
    """

    path: Path
    size: int
    parity: Parity
    loss: AccuracyLoss | None
    speedup: float | None
    report: Path


def export_model(
    where: str | Path,
    find_images: FindImages,
    judge: Judge,
    *,
    file_format: str = "onnx",
    int8: bool = False,
    output: str | Path | None = None,
    runtime: str | Path | None = None,
    named: bool = False,
) -> Export:
    """Export a trained model.

    Args:
        where: a run directory, a model file, a bundled model or a Hub id.
        find_images: finds the images that a model belongs to, if there are any.
        judge: measures the accuracy that a file in 8 bits has lost.
        file_format: one of `FORMATS`.
        int8: compute in 8 bits.
        output: the file or folder.
        runtime: see `write_web`.
        named: whether the images were asked for, so that they have to be there.

    Raises:
        EanetError: as for `eanet.export`.
    """
    if file_format not in FORMATS:
        raise unknown_name("format", file_format, FORMATS)
    kind = FORMATS[file_format]
    if runtime is not None:
        if file_format != "web":
            raise WrongArgumentError("a runtime belongs to the format web alone")
        kind = kind._replace(write=partial(write_web, runtime=user_path(runtime)))
    if int8 and file_format != "onnx":
        raise WrongArgumentError(f"int8 belongs to the format onnx alone, not to {file_format}")
    model, digest = load_model(where), model_digest(where)
    name = "-int8" * int8 + kind.suffix
    path = _default_path(where, name) if output is None else user_path(output)
    report = _beside(path)
    _check_output(path, kind)
    _check_report(report)
    loss = speedup = None
    own = find_images(model) if int8 or named else None  # before anything is written
    if int8:
        if own is None or own.train is None:
            raise EanetError("int8 needs training images: name some with --data")
        speedup = write_int8(model, path, digest, own.train)
        report.unlink(missing_ok=True)  # the figures of what was there before
        loss = judge(model, path, own)
    else:
        kind.write(model, path, digest)
        report.unlink(missing_ok=True)  # likewise
        own = own if named else _try_find(find_images, model)
    parity = measure_parity(
        Predictor(model, "cpu"), kind.open(path / kind.model), originals_of(own)
    )
    figures: dict[str, Any] = {FIGURES: asdict(parity)}
    if loss is not None:
        figures["int8"] = {**asdict(loss), "speedup": speedup}
    write_json(report, figures)
    return Export(path, _size(path), parity, loss, speedup, report)


def _try_find(find_images: FindImages, model: Classifier) -> OwnImages | None:
    """Return the model's images; None if there are none or no longer any."""
    try:
        return find_images(model)
    except EanetError as error:
        notice(f"eanet: answers are not compared on the run's own images: {error}")
        return None


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _default_path(where: str | Path, suffix: str) -> Path:
    """``model`` in a run directory; beside a model file; else in the current folder.

    A folder is called ``web``, or like the model with ``-web``.
    """
    path = user_path(where)
    if path.is_dir():
        return path / (f"model{suffix}" if suffix else "web")
    place, name = (path.parent, path.stem) if path.is_file() else (Path(), path.name)
    return place / f"{name}{suffix or '-web'}"


def _beside(path: Path) -> Path:
    """Return the file of the figures about an export."""
    named = path.resolve() if path.name in ("", "..") else path  # such as the current folder
    return named.with_name(f"{named.name}.json")


def _check_output(path: Path, kind: Format) -> None:
    """Raise before long work if its result could not or should not be written to ``path``.

    Only what was exported by eanet is replaced.
    """
    if kind.suffix and path.is_dir():
        raise WrongArgumentError(
            f"{path} is a folder; name a file, such as {path / f'model{kind.suffix}'}"
        )
    if kind.suffix and path.suffix.lower() != kind.suffix:
        raise WrongArgumentError(f"{path}: name a file that ends in {kind.suffix}")
    check_writable(path.parent if kind.suffix else path)
    is_new = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    if not is_new and KEY not in kind.read_properties(path / kind.model):
        raise EanetError(
            f"{path} exists and was not exported by eanet: remove it, or name another "
            f"{'file' if kind.suffix else 'folder'} with --output"
        )


def _check_report(path: Path) -> None:
    """Raise if the figures would replace a file that no export wrote."""
    if not path.exists():
        return
    with suppress(EanetError):
        figures = parse_json(read_text(path), str(path))
        if isinstance(figures, dict) and FIGURES in figures:
            return
    raise EanetError(
        f"{path}, where the figures of the export belong, exists and was not written by "
        "eanet export: move it, or name another place with --output"
    )
