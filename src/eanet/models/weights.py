"""Models on disk: ``model.safetensors``, and a copy of its metadata in ``config.json``.

The metadata of the weights hold the architecture, class names, image size, preprocessing and
normalisation, so that file is enough. No pickle is ever opened. Some trained models come with the
package.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from eanet.config import RUNS
from eanet.console import only_errors
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import nearest_path, replacing, replacing_together, user_path, write_json
from eanet.models.adapt import adapt_model
from eanet.models.classifier import Classifier
from eanet.models.metadata import check_metadata
from eanet.models.preprocessing import Preprocessing
from eanet.models.registry import create_model
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.models.views import VIEWS

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
MOST_HEADER_BYTES = 1 << 24  # with the names of 100,000 classes
BUNDLED = Path(__file__).parents[1] / "weights"
_HUB_OPTIONS = tuple(inspect.signature(hf_hub_download).parameters)
DEFAULT_MODEL = "eanet_tiny_cifar100"
"""The bundled model that classifies images if none is named."""


def bundled_models() -> dict[str, Path]:
    """Return the name and file of every trained model that comes with the package."""
    return {file.stem: file for file in sorted(BUNDLED.glob("*.safetensors"))}


def model_metadata(model: Classifier) -> dict[str, Any]:
    """Return the metadata that is saved with the weights, as plain JSON values."""
    normalization = model.normalization
    return {
        **asdict(model.config),
        "classes": list(model.classes),
        "normalization": {
            "mean": normalization.mean.tolist(),
            "std": normalization.std.tolist(),
        },
        "parameters": model.num_parameters,
        **({} if model.detector is None else {"unknown": asdict(model.detector.fit)}),
        **({} if model.views == 1 else {"views": model.views}),
    }


def save_model(model: Classifier, directory: str | Path) -> Path:
    """Write weights and configuration into ``directory``, whose earlier ones they replace together.

    Raises:
        EanetError: `load_model` could not load what would be written, or it cannot be written.
    """
    model = getattr(model, "_orig_mod", model)  # what `torch.compile` wraps
    if not isinstance(model, Classifier):
        raise WrongArgumentError(f"only a Classifier can be saved, not a {type(model).__name__}")
    check_head(model)
    directory, metadata = user_path(directory), model_metadata(model)
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if changed := _shapes(tensors) ^ _shapes(_outline(metadata).state_dict()):
        name, _ = min(changed)
        raise EanetError(
            f"the network is no longer {model.config.name}: its {name} was added, removed or "
            "replaced, so load_model could not load it; save model.state_dict() instead"
        )
    path = directory / WEIGHTS_FILE
    with replacing_together(directory):
        with replacing(path) as partial:
            partial.write_bytes(save(tensors, {"format": "pt", "eanet": json.dumps(metadata)}))
        write_json(directory / CONFIG_FILE, metadata)
    return path


def _shapes(state: Mapping[str, Tensor]) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(tensor.shape)) for name, tensor in state.items()}


def check_head(model: Classifier) -> None:
    """Raise an `EanetError` if a replaced head does not fit the names of the classes."""
    count = len(model.classes)
    outputs = [m.out_features for m in model.head.modules() if isinstance(m, nn.Linear)][-1:]
    if outputs not in ([], [count]):
        raise EanetError(
            f"the head has {outputs[0]} outputs, but the model names {count} classes; to change "
            "them, load_model(..., classes=[...]) makes a new head"
        )


def find_model(where: str | Path) -> Path:
    """Return the file of a model; arguments and errors as for `load_model`."""
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
    hint = f"; did you mean {str(near)!r}?" if near else ""
    if text.count("/") == 1 and not text.startswith((".", "/")) and not path.parent.is_dir():
        try:
            return _find_on_hub(text)
        except EanetError as error:
            raise EanetError(f"{error}{hint}") from error
    if near or os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such run or model file: {where}{hint}")
    unknown = unknown_name("bundled model", text, bundled)
    raise WrongArgumentError(
        f"no such run directory or model file, not an OWNER/NAME on the Hub, and {unknown}"
    )


def _is_model(path: Path) -> bool:
    return path.suffix == ".safetensors" or (path / WEIGHTS_FILE).is_file()


def locate_model(where: str | Path) -> str:
    """Make ``where`` valid in any directory: an existing path absolute, a name unchanged."""
    path = _path(where)
    return str(path.resolve()) if path.exists() else str(where)


def _path(where: str | Path) -> Path:
    if not str(where):
        raise WrongArgumentError("the name of the model is empty")  # Path("") is this folder
    return user_path(where)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata in a model file: see `model_metadata`.

    For bundled models it also has ``training``: how the model was trained and what it scored.

    Raises:
        EanetError: the file is damaged, or was not written by this project.
    """
    with _open(path) as (_, metadata):
        return metadata


def model_digest(where: str | Path) -> str:
    """Return the SHA-256 of a model's file in hex; arguments and errors as for `load_model`."""
    return hashlib.sha256(find_model(where).read_bytes()).hexdigest()


def load_model(where: str | Path, **changes: Any) -> Classifier:
    """Load a model, in evaluation mode, on the CPU.

    Args:
        where: a run directory, a ``.safetensors`` file, the name of a model that comes with the
            package (see `bundled_models`), or that of a repository on the Hugging Face Hub
            (``owner/name``). An existing path of this name takes precedence over the other two.
        **changes: to fine-tune it: ``classes`` or ``num_classes``, ``image_size``,
            ``preprocessing``, ``dropout`` or ``drop_path``, as in `adapt_model`.

    Raises:
        EanetError: there is no model, or it was not written by this project.
    """
    model = _load(find_model(where))
    return adapt_model(model, **changes) if changes else model


def _load(path: Path) -> Classifier:
    with _open(path) as (file, metadata):
        shapes = {(name, tuple(file.get_slice(name).get_shape())) for name in file.keys()}  # noqa: SIM118
        if any(".mlp.0." in name for name, _ in shapes):  # where fc1 was before it had a name
            raise EanetError(
                f"{path} was written by an earlier version of eanet, whose layers had other names; "
                "train or import the model again, or use it with the eanet that wrote it"
            )
        try:
            fits = shapes == _shapes(_outline(metadata).state_dict())
        except (EanetError, TypeError, ValueError) as error:
            raise EanetError(
                f"{path} holds a model that this version of eanet cannot build ({error})"
            ) from error
        if not fits:
            raise EanetError(f"the weights in {path} do not fit {metadata['name']}")
        model = _build(metadata)
        try:
            model.load_state_dict({name: file.get_tensor(name) for name, _ in shapes})
        except (RuntimeError, SafetensorError) as error:
            raise EanetError(f"the weights in {path} are damaged ({_line(error)})") from error
    return model.eval()


def _outline(metadata: Mapping[str, Any]) -> Classifier:
    """Build a model without memory or values: shapes alone, of whatever size they may be."""
    with torch.device("meta"), _NothingDrawn():
        return _build(metadata)


class _NothingDrawn(TorchFunctionMode):
    """Leaves initial weights as they are; for those on ``meta``, PyTorch imports its compiler."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return function(*args, **(kwargs or {}))


def _build(metadata: Mapping[str, Any]) -> Classifier:
    model = create_model(
        metadata["name"],
        classes=metadata["classes"],
        image_size=metadata["image_size"],
        in_channels=metadata["in_channels"],
        preprocessing=Preprocessing.parse(metadata.get("preprocessing", {})),
        **metadata["settings"],
    )
    model.views = metadata.get("views", 1)
    if model.views not in VIEWS:
        raise EanetError(f"views={model.views}")
    if "unknown" in metadata:
        fit = DetectorFit(**metadata["unknown"])
        model.detector = UnknownDetector(model.head.in_features, len(model.classes), fit)
    return model


def load_pretrained(where: str | Path, **options: Any) -> Classifier:
    """Load a model; ``options`` are those of `load_model` and of `hf_hub_download`.

    The latter are ignored if the model is not on the Hub.
    """
    known = inspect.signature(adapt_model).parameters
    for name in options:
        if name not in known and name not in _HUB_OPTIONS:
            raise unknown_name("option", name, [*known, *_HUB_OPTIONS])
    changes = {name: options.pop(name) for name in known if name in options}
    if options and not (_path(where).exists() or str(where) in bundled_models()):
        where = _find_on_hub(str(where), **options)
    return load_model(where, **changes)


def _find_on_hub(model_id: str, **options: Any) -> Path:
    try:
        with only_errors("huggingface_hub"):  # it logs every retry
            return Path(hf_hub_download(model_id, WEIGHTS_FILE, **options))
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EanetError(
            f"{model_id} is not a local run or model file, and loading it from the Hub "
            f"failed ({reason})"
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a safetensors file; yield it and its metadata."""
    with ExitStack() as stack:
        try:
            _check_header(path)
            file = stack.enter_context(safe_open(path, framework="pt"))
            metadata = json.loads((file.metadata() or {}).get("eanet", "{}"))
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise EanetError(
                f"{path} is not a readable safetensors file ({_line(error)})"
            ) from error
        yield file, check_metadata(metadata, str(path))


def _check_header(path: Path) -> None:
    """Raise a ValueError if a file's header is not as long as that of a model may be."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= min(MOST_HEADER_BYTES, path.stat().st_size - 8):
            raise ValueError(f"a header of {size:,} bytes")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
