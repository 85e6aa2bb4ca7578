"""Exported ONNX files: what they say about themselves, checked, since anybody may have made them.

Nothing in such a file is executed but the graph, by ONNX Runtime or OpenVINO. What it may not do:
name other files as its weights, which could be any file of the system; or loop, which takes time
and memory that its size says nothing about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eanet.errors import EanetError
from eanet.files import user_path
from eanet.model_files.config import ModelConfig, check_rgb
from eanet.model_files.find import model_digest
from eanet.model_files.metadata import KEY, check_metadata, parse_config
from eanet.model_files.weights_file import EXPORTED

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

SUFFIX, PROGRAM = EXPORTED
LARGEST = 2**30  # bytes
REFUSED = {"Loop", "Scan", "SequenceMap"}  # operators


@dataclass(frozen=True)
class ExportedModel:
    """An exported file.

    Attributes:
        content: ONNX, from uint8 ``pixels`` (B, H, W, 3) to ``logits`` (B, K).
        config: of the model.
        metadata: see `eanet.models.weights.model_metadata`.
    """

    content: bytes
    config: ModelConfig
    metadata: dict[str, Any]


def is_exported(where: str | Path) -> bool:
    """Whether this is an exported file rather than a run, a model file or a name."""
    path = user_path(where)
    return path.suffix.lower() in (SUFFIX, PROGRAM) and path.is_file()


def read_exported(where: str | Path) -> ExportedModel:
    """Read an ONNX file that `eanet export` wrote.

    Raises:
        EanetError: it is something else, is damaged, or could do more than classify images; or the
            package `onnx` is missing.
    """
    path = user_path(where)
    if path.suffix.lower() == PROGRAM:
        raise EanetError(
            f"{path} is for programs without eanet: loading it could execute code; name the run, "
            "or a file from `eanet export --format onnx`"
        )
    try:
        import onnx
    except ImportError:
        raise EanetError(f"reading {path} needs more packages: pip install onnx") from None
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise EanetError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise EanetError(f"{path} is larger than {LARGEST:,} bytes")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's, which need not be the one that onnx was built for
        raise EanetError(f"{path} is not an ONNX file, or not all of it") from error
    metadata = _metadata(path, model)
    config = parse_config(metadata, str(path))
    check_rgb(config)
    _check_interface(path, model.graph, config)
    for message in _messages(model):
        _check_harmless(path, message)
    return ExportedModel(content, config, metadata)


def _metadata(path: Path, model: ModelProto) -> dict[str, Any]:
    texts = {entry.key: entry.value for entry in model.metadata_props}
    try:
        metadata = json.loads(texts.get(KEY, "null"))
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise EanetError(
            f"{path} was not written by eanet: it does not say which classes it knows; export a "
            "run with `eanet export`"
        )
    return check_metadata(metadata, str(path))


def _check_interface(path: Path, graph: GraphProto, config: ModelConfig) -> None:
    from onnx import TensorProto

    initial = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initial]
    kinds = [value.type.tensor_type for value in inputs]
    is_ours = [value.name for value in inputs] == ["pixels"]
    is_ours = is_ours and kinds[0].elem_type == TensorProto.UINT8
    is_ours = is_ours and len(kinds[0].shape.dim) == 4 and kinds[0].shape.dim[3].dim_value == 3
    logits = next((value for value in graph.output if value.name == "logits"), None)
    width = logits.type.tensor_type.shape.dim[-1:] if logits is not None else []
    if not is_ours or [dim.dim_value for dim in width] != [len(config.classes)]:
        raise EanetError(
            f"{path} does not take pixels or answer with logits as a file from `eanet export` does"
        )


def _messages(message: Any) -> Iterator[Any]:
    """Yield a message of protobuf and all that it contains."""
    waiting = [message]
    while waiting:
        yield (current := waiting.pop())
        for field, value in current.ListFields():
            if field.message_type is not None:
                waiting += value if _is_repeated(value) else [value]


def _is_repeated(value: Any) -> bool:
    return not hasattr(value, "ListFields")


def _check_harmless(path: Path, message: Any) -> None:
    import onnx

    if isinstance(message, onnx.TensorProto) and (
        message.external_data or message.data_location == onnx.TensorProto.EXTERNAL
    ):
        raise EanetError(f"{path} keeps its weights in another file; export it again in one file")
    if isinstance(message, onnx.NodeProto) and message.op_type in REFUSED:
        raise EanetError(f"{path} has an operator that no export of eanet has: {message.op_type}")


def exported_beside(weights: Path) -> Path | None:
    """Return the ONNX file that was exported from a file of weights, if it lies beside it.

    Raises:
        EanetError: it was exported from other weights, or as for `read_exported`.
    """
    file = weights.with_suffix(SUFFIX)
    if not file.is_file():
        return None
    if read_exported(file).metadata.get("weights_sha256") != model_digest(weights):
        raise EanetError(f"{file} was exported from other weights; `eanet export` writes it anew")
    return file
