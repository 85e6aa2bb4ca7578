"""Models on disk: ``model.safetensors``, and a copy of its metadata in ``config.json``.

The metadata of the weights hold the architecture, class names, image size, preprocessing and
normalisation, so that file is enough. No pickle is ever opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from eanet.config import VIEWS
from eanet.errors import EanetError, WrongArgumentError, one_line, unknown_name
from eanet.files import replacing, replacing_together, user_path, write_json
from eanet.model_files.find import CONFIG_FILE, WEIGHTS_FILE, find_model
from eanet.model_files.metadata import KEY
from eanet.model_files.preprocessing import Preprocessing
from eanet.model_files.weights_file import open_weights
from eanet.models.adapt import CHANGES, adapt_model
from eanet.models.classifier import Classifier
from eanet.models.registry import create_model
from eanet.models.unknown import DetectorFit, UnknownDetector


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


def save_model(model: nn.Module | Callable[..., Any], directory: str | Path) -> Path:
    """Write weights and configuration into ``directory``, whose earlier ones they replace together.

    Args:
        model: a `Classifier`, or what `torch.compile`, ``DistributedDataParallel`` or
            ``AveragedModel`` has made of one. Weights that its layers share become one for each.
        directory: it is made if there is none.

    Raises:
        EanetError: `load_model` could not load what would be written, or it cannot be written.

    Examples:
        >>> model = eanet.create_model("eanet_nano", classes=["ant", "bee"])
        >>> eanet.save_model(model, "my-model")
        PosixPath('my-model/model.safetensors')
    """
    model = unwrapped(model)
    check_head(model)
    directory, metadata = user_path(directory), model_metadata(model)
    # Copies, since safetensors refuses tensors that share memory, as those of tied layers do.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    if changed := _shapes(tensors) ^ _shapes(_outline(metadata).state_dict()):
        name, _ = min(changed)
        raise EanetError(
            f"the network is no longer {model.config.name}: its {name} was added, removed or "
            "replaced, so load_model could not load it; save model.state_dict() instead"
        )
    path = directory / WEIGHTS_FILE
    with replacing_together(directory):
        with replacing(path) as partial:
            partial.write_bytes(save(tensors, {"format": "pt", KEY: json.dumps(metadata)}))
        write_json(directory / CONFIG_FILE, metadata)
    return path


def unwrapped(model: nn.Module | Callable[..., Any]) -> Classifier:
    """Return the classifier in what training loops wrap around one.

    That is what `torch.compile`, ``DistributedDataParallel`` and ``AveragedModel`` return.

    Raises:
        EanetError: there is none.
    """
    inner: Any = model
    while not isinstance(inner, Classifier):
        inner = getattr(inner, "_orig_mod", getattr(inner, "module", None))
        if not isinstance(inner, nn.Module):
            raise WrongArgumentError(
                f"a Classifier is needed, as create_model and load_model return it, not a "
                f"{type(model).__name__}"
            )
    return inner


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


def load_model(where: str | Path, **changes: Any) -> Classifier:
    """Load a model, in evaluation mode, on the CPU.

    Args:
        where: a run directory, a ``.safetensors`` file, the name of a model that comes with the
            package (see ``eanet models``), or that of a repository on the Hugging Face Hub
            (``owner/name``). An existing path of this name takes precedence over the other two.
        **changes: to fine-tune it: ``classes`` or ``num_classes``, ``image_size``,
            ``preprocessing``, ``dropout`` or ``drop_path``, as in `adapt_model`.

    Raises:
        EanetError: there is no model or no such change, or it was not written by this project.

    Examples:
        With a new head, to be fine-tuned:

        >>> model = eanet.load_model("eanet_tiny_64", classes=["ant", "bee"])
        >>> model.classes, model.config.image_size
        (('ant', 'bee'), 64)
    """
    for name in changes:
        if name not in CHANGES:
            raise unknown_name("option", name, CHANGES)
    model = _load(find_model(where))
    return adapt_model(model, **changes) if changes else model


def _load(path: Path) -> Classifier:
    with open_weights(path) as (file, metadata):
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
        # Initial values are replaced. A program may have set another device as PyTorch's default.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            model = _build(metadata)
        try:
            model.load_state_dict({name: file.get_tensor(name) for name, _ in shapes})
        except (RuntimeError, SafetensorError) as error:
            reason = one_line(error)[:200]
            raise EanetError(f"the weights in {path} are damaged ({reason})") from error
    model.source = path
    return model.eval()


def _outline(metadata: Mapping[str, Any]) -> Classifier:
    """Build a model without memory or values: shapes alone, of whatever size they may be."""
    with torch.device("meta"), _NothingDrawn():
        return _build(metadata)


# What initial values are made with, also truncated ones.
IN_PLACE = tuple(
    getattr(Tensor, f"{name}_") for name in ("normal", "uniform", "erfinv", "mul", "add", "clamp")
)


class _NothingDrawn(TorchFunctionMode):
    """Leaves initial weights as they are; for those on ``meta``, PyTorch imports its compiler."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in IN_PLACE:
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
