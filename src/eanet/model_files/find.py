"""Where models are: run directories, files, those that come with the package, and the Hub."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from eanet.config import RUNS
from eanet.console import only_errors
from eanet.errors import EanetError, WrongArgumentError, nearest, unknown_name
from eanet.files import nearest_path, user_path
from eanet.parsing import run_name

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
BUNDLED = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = "eanet_tiny_cifar100"
"""The bundled model that classifies images if none is named."""


def bundled_models() -> dict[str, Path]:
    """Return the name and file of every trained model that comes with the package."""
    return {file.stem: file for file in sorted(BUNDLED.glob("*.safetensors"))}


def find_model(where: str | Path, **hub_options: Any) -> Path:
    """Return the file of a model.

    Args:
        where: as for `eanet.load_model`.
        **hub_options: of `hf_hub_download`; they are ignored if the model is not on the Hub.

    Raises:
        EanetError: there is no model.
    """
    path, text = _path(where), str(where)
    if path.is_dir():
        if not (path / WEIGHTS_FILE).is_file():
            raise EanetError(
                f"no {WEIGHTS_FILE} in {where}: not a run, or no epoch of it has finished"
            )
        return path / WEIGHTS_FILE
    if path.exists():
        return path
    bundled = bundled_models()
    if text in bundled:
        return bundled[text]
    near = nearest_path(path, RUNS, _is_model)
    if near and nearest(text, [near.name, *bundled]) in bundled:
        near = None
    hint = f"; did you mean {str(near)!r}?" if near else ""
    if text.count("/") == 1 and not text.startswith((".", "/")) and not path.parent.is_dir():
        try:
            return _find_on_hub(text, **hub_options)
        except EanetError as error:
            raise EanetError(f"{error}{hint}") from error
    if near or os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such run or model file: {where}{hint}")
    unknown = unknown_name("bundled model", text, bundled)
    raise WrongArgumentError(
        f"no such run directory or model file, not an OWNER/NAME on the Hub, and {unknown}"
    )


def locate_model(where: str | Path) -> str:
    """Make ``where`` valid in any directory: an existing path absolute, a name unchanged."""
    path = _path(where)
    return str(path.resolve()) if path.exists() else str(where)


def model_digest(where: str | Path) -> str:
    """Return the SHA-256 of a model's file in hex; arguments and errors as for `find_model`."""
    return hashlib.sha256(find_model(where).read_bytes()).hexdigest()


def _is_model(path: Path) -> bool:
    return path.suffix == ".safetensors" or (path / WEIGHTS_FILE).is_file()


def _path(where: str | Path) -> Path:
    if not run_name(where):
        raise WrongArgumentError("the name of the model is empty")  # Path("") is this folder
    return user_path(where)


def _find_on_hub(model_id: str, **options: Any) -> Path:
    import huggingface_hub

    try:
        with only_errors("huggingface_hub"):  # it logs every retry
            return Path(huggingface_hub.hf_hub_download(model_id, WEIGHTS_FILE, **options))
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EanetError(
            f"{model_id} is not a local run or model file, and loading it from the Hub "
            f"failed ({reason})"
        ) from error
