"""Models on disk: ``model.safetensors``, and its description again as ``config.json``.

The architecture, class names, image size and normalisation travel in the weights' own metadata, so
the one file is enough; no pickle is ever opened.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from eanet.errors import EanetError
from eanet.files import replacing
from eanet.models.classifier import Classifier
from eanet.models.registry import create_model

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


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
    with replacing(directory / CONFIG) as partial:
        partial.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def load_model(where: str | Path) -> Classifier:
    """Load a model, in evaluation mode, on the CPU.

    Args:
        where: a run directory, a ``.safetensors`` file, or the name of a repository on the
            Hugging Face Hub (``owner/name``).

    Raises:
        EanetError: there is no model, or it is not one of this project's.
    """
    path = Path(where)
    if path.is_dir():
        path = path / WEIGHTS
        if not path.is_file():
            raise EanetError(f"no {WEIGHTS} in {where}: no run, or one without a finished epoch")
    elif not path.exists():
        text = str(where)
        if text.count("/") == 1 and not text.startswith((".", "/")) and not path.parent.is_dir():
            return load_from_hub(text)
        raise EanetError(f"no such run or model file: {where}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise EanetError(f"{path} is not a readable safetensors file ({error})") from error
    if "eanet" not in metadata:
        raise EanetError(f"{path} was not written by eanet: it does not say which model it holds")
    description = json.loads(metadata["eanet"])
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
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would tell of every retry
    try:
        return load_model(hf_hub_download(model_id, WEIGHTS, **options))
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EanetError(
            f"no run or model file {model_id}, and none of that name on the Hub ({reason})"
        ) from error
