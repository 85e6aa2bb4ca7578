"""Models on disk: ``model.safetensors``, and its description again as ``config.json``.

The architecture, class names, image size and normalisation travel in the weights' own metadata, so
the one file is enough; no pickle is ever opened. Some trained models come with the package.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import replacing, write_json
from eanet.models.classifier import Classifier
from eanet.models.registry import create_model

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
BUNDLED = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = "eanet_tiny_cifar100"
"""The bundled model that classifies images where none is named."""


def bundled_models() -> dict[str, Path]:
    """Name and file of every trained model that comes with the package."""
    return {file.stem: file for file in sorted(BUNDLED.glob("*.safetensors"))}


def describe(model: Classifier) -> dict[str, Any]:
    """What is written beside the weights, as plain JSON values."""
    normalization = model.normalization
    return {
        **asdict(model.config),
        "classes": list(model.classes),
        "normalization": {
            "mean": normalization.mean.tolist(),
            "std": normalization.std.tolist(),
        },
        "parameters": model.num_parameters,
    }


def save_model(model: Classifier, directory: Path) -> Path:
    """Write weights and configuration into ``directory``; each file is replaced as a whole."""
    description = describe(model)
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    path = directory / WEIGHTS
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, {"format": "pt", "eanet": json.dumps(description)}))
    write_json(directory / CONFIG, description)
    return path


def find_model(where: str | Path) -> Path:
    """The file of a model; arguments and errors as those of `load_model`."""
    path, text = _path(where), str(where)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise EanetError(f"no {WEIGHTS} in {where}: not a run, or no epoch of it has finished")
        return path / WEIGHTS
    if path.exists():
        return path
    bundled = bundled_models()
    if text in bundled:
        return bundled[text]
    if text.count("/") == 1 and not text.startswith((".", "/")) and not path.parent.is_dir():
        return _find_on_hub(text)
    if os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such run or model file: {where}")
    unknown = unknown_name("bundled model", text, bundled)
    raise WrongArgumentError(
        f"no such run directory or model file, not an OWNER/NAME on the Hub, and {unknown}"
    )


def locate_model(where: str | Path) -> str:
    """A model as it can be found again from anywhere: a name as it is, else the whole path."""
    path = _path(where)
    return str(path.resolve()) if path.exists() else str(where)


def _path(where: str | Path) -> Path:
    if not str(where):
        raise WrongArgumentError("the name of the model is empty")  # would be this folder
    return Path(where).expanduser()


def read_description(path: Path) -> dict[str, Any]:
    """What a model file says of its model: see `describe`.

    That of a bundled model also says, as ``training``, how it was trained and what it scored.

    Raises:
        EanetError: the file is damaged, or not one of this project's.
    """
    with _opened(path) as (_, description):
        return description


def model_digest(where: str | Path) -> str:
    """SHA-256 (hexadecimal) of a model's file; arguments and errors as those of `load_model`."""
    return hashlib.sha256(find_model(where).read_bytes()).hexdigest()


def load_model(where: str | Path) -> Classifier:
    """Load a model, in evaluation mode, on the CPU.

    Args:
        where: a run directory, a ``.safetensors`` file, the name of a model that comes with the
            package (see `bundled_models`), or that of a repository on the Hugging Face Hub
            (``owner/name``). What lies at a path of this name wins over the other two.

    Raises:
        EanetError: there is no model, or it is not one of this project's.
    """
    path = find_model(where)
    with _opened(path) as (file, description):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model = create_model(
        description["name"],
        classes=description["classes"],
        image_size=description["image_size"],
        in_channels=description["in_channels"],
        **description["settings"],
    )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise EanetError(f"the weights in {path} do not fit {description['name']}") from error
    return model.eval()


def load_from_hub(model_id: str, **options: Any) -> Classifier:
    """Load a model from the Hugging Face Hub; ``options`` as `huggingface_hub.hf_hub_download`."""
    return load_model(_find_on_hub(model_id, **options))


def _find_on_hub(model_id: str, **options: Any) -> Path:
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would tell of every retry
    try:
        return Path(hf_hub_download(model_id, WEIGHTS, **options))
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EanetError(
            f"{model_id} is no local run or model file, and loading it from the Hub "
            f"failed ({reason})"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """An open safetensors file and the description in it."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if "eanet" not in metadata:
                raise EanetError(
                    f"{path} was not written by eanet: it does not say which model it holds"
                )
            yield file, json.loads(metadata["eanet"])
    except (SafetensorError, OSError) as error:
        raise EanetError(f"{path} is not a readable safetensors file ({error})") from error
