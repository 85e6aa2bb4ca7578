"""ONNX files: one file with the weights inside, and what it says about itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from eanet.console import only_errors
from eanet.deploy.export.metadata import file_metadata
from eanet.deploy.export.program import AXES, INPUT, Pixels, Probabilities, outputs, quiet, trace
from eanet.errors import EanetError
from eanet.files import replacing
from eanet.models import Classifier
from eanet.version import __version__

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxscript import ir

OPSET = 18  # the oldest that the exporter writes without converting: most programs know it
MOST_VALUES = 1 << 24  # of a constant that is computed when a file is written


def write_onnx(model: Classifier, path: Path, weights_sha256: str | None = None) -> Path:
    """Write a model as ONNX: ``pixels`` in, `outputs` out.

    Args:
        model: a classifier of RGB images.
        path: the file to write or replace.
        weights_sha256: see `file_metadata`.

    Raises:
        EanetError: the packages for it are missing, the model cannot be exported, or the file
            cannot be written.
    """
    content = onnx_model(model, weights_sha256).SerializeToString()
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def onnx_model(model: Classifier, weights_sha256: str | None = None) -> ModelProto:
    """Return the content of the file that `write_onnx` writes."""
    check_packages()
    import torch

    program = trace(model)
    with quiet(), only_errors("torch.onnx"):
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[INPUT],
            output_names=outputs(model),
            opset_version=OPSET,
            verbose=False,
        )
    if exported is None:  # as its type allows
        raise EanetError("PyTorch's exporter returned nothing")
    _fold_constants(exported.model)
    proto = exported.model_proto
    _name_axes(proto)
    _name_by_module(proto)
    proto.producer_name, proto.producer_version = "eanet", __version__
    for key, value in file_metadata(model, weights_sha256).items():
        proto.metadata_props.add(key=key, value=value)
    return proto


def open_onnx(file: Path | bytes) -> Callable[[Pixels], Probabilities]:
    """Load a file or its content, to compute its probabilities in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def answer(pixels: Pixels) -> Probabilities:
        result: Probabilities = session.run(["probabilities"], {INPUT: pixels})[0]
        return result

    return answer


def read_properties(path: Path) -> dict[str, str]:
    """Return what an ONNX file says about itself; nothing if it is no ONNX file."""
    import onnx

    try:
        proto = onnx.load(path, format="protobuf", load_external_data=False)
    except Exception:  # protobuf's, or the system's
        return {}
    return {entry.key: entry.value for entry in proto.metadata_props}


def check_packages() -> None:
    """Raise an `EanetError` unless what ONNX needs is installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        message = f"ONNX needs {error.name}: pip install onnx onnxscript onnxruntime"
        raise EanetError(message) from error


def _fold_constants(model: ir.Model) -> None:
    """Compute what depends on weights alone, such as the product of two, now and not in each call.

    PyTorch's exporter does so for small ones. Quantisation needs it of all: it rounds the weights
    that images are multiplied by, not those that these are made of.
    """
    from onnxscript import optimizer

    most = {"input_size_limit": MOST_VALUES, "output_size_limit": MOST_VALUES}
    optimizer.fold_constants(model, **most)
    optimizer.remove_unused_nodes(model)


def _name_axes(proto: ModelProto) -> None:
    """Give the free axes their own names, by which programs set them; PyTorch numbers them."""
    graph = proto.graph
    free = graph.input[0].type.tensor_type.shape.dim[: len(AXES)]
    names = {dim.dim_param: name for dim, name in zip(free, AXES, strict=True)}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:  # a name, or an expression of names
                dim.dim_param = re.sub(
                    r"\w+", lambda found: names.get(found[0], found[0]), dim.dim_param
                )


def _name_by_module(proto: ModelProto) -> None:
    """Name each operation after its part of the model, and forget what else is noted of it.

    Such as lines of code, with paths of this machine.
    """
    graph = proto.graph
    for number, node in enumerate(graph.node):
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scopes = ast.literal_eval(notes.get("pkg.torch.onnx.name_scopes", "[]"))
        module = scopes[-2] if len(scopes) > 1 else ""
        node.name = f"{module}/{node.op_type}_{number}"
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
