"""Models as the Hugging Face Hub keeps them: weights, their ONNX file if there is one, a card."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import torch

from eanet.console import notice_once
from eanet.errors import EanetError, unknown_name
from eanet.files import replacing, replacing_together
from eanet.model_files.exported import exported_beside
from eanet.model_files.find import WEIGHTS_FILE, find_model
from eanet.model_files.hub_library import hf_hub_download
from eanet.models.adapt import CHANGES
from eanet.models.classifier import Classifier
from eanet.models.weights import load_model, model_metadata, save_model

EXPORTED = "model.onnx"
_OPTIONS = tuple(inspect.signature(hf_hub_download).parameters)


def load_pretrained(where: str | Path, **options: Any) -> Classifier:
    """Load a model; ``options`` are those of `load_model` and of `hf_hub_download`.

    The latter are ignored if the model is not on the Hub.
    """
    for name in options:
        if name not in CHANGES and name not in _OPTIONS:
            raise unknown_name("option", name, [*CHANGES, *_OPTIONS])
    changes = {name: options.pop(name) for name in CHANGES if name in options}
    return load_model(find_model(where, **options), **changes)


def save_pretrained(model: Classifier, folder: Path) -> None:
    """Write weights and configuration, and the ONNX file of these weights if there is one."""
    file = exported_file(model)
    with replacing_together(folder):
        save_model(model, folder)
        if file is not None and model.source is not None:
            _copy(model.source, folder / WEIGHTS_FILE)  # the very file that the other is of
            _copy(file, folder / EXPORTED)


def _copy(source: Path, path: Path) -> None:
    with replacing(path) as partial:
        shutil.copyfile(source, partial)


def exported_file(model: Classifier) -> Path | None:
    """Return the ONNX file of a model: beside the file that it was loaded from, if unchanged."""
    if model.source is None:
        return None
    try:
        file = exported_beside(model.source)
        if file is None or _is_as_in(model, model.source):
            return file
    except EanetError as error:
        notice_once(f"no ONNX file is added: {error}")
        return None
    notice_once(f"{file} is not added: the model has changed since; save it, then `eanet export`")
    return None


def _is_as_in(model: Classifier, file: Path) -> bool:
    kept = load_model(file)
    own, other = model.state_dict(), kept.state_dict()
    return (
        model_metadata(model) == model_metadata(kept)
        and own.keys() == other.keys()
        and all(torch.equal(own[name].cpu(), other[name]) for name in own)
    )
