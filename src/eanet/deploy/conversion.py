"""Networks for other libraries than PyTorch: graphs of OpenVINO, ONNX for ONNX Runtime.

A graph of OpenVINO holds the network alone, from pixels of its own size, computed by formulas: no
operators of this package. It is made from a trace, by the same part of OpenVINO that its
`convert_model` calls; that would also report the conversion to its makers.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from eanet.deploy.onnx_runtime import OnnxRuntime
from eanet.deploy.openvino_library import load_openvino
from eanet.deploy.openvino_runtime import OpenVinoRuntime
from eanet.deploy.prediction import Outputs
from eanet.deploy.runtime import Precision, Runtime
from eanet.errors import EanetError, one_line
from eanet.model_files.config import check_rgb
from eanet.models import Classifier
from eanet.models.weights import model_metadata

if TYPE_CHECKING:
    from openvino import Model


class _Network(nn.Module):
    """A classifier with pixels in the order that images are decoded in."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Map pixels ``(B, S, S, 3)`` to what `Outputs` has."""
        outputs = self.model.forward_with_distance(pixels.permute(0, 3, 1, 2))
        return tuple(output for output in outputs if output is not None)


def make_graph(model: Classifier) -> Model:
    """Convert a classifier on the CPU, for any number of images.

    Raises:
        EanetError: OpenVINO cannot convert it.
    """
    openvino = load_openvino()

    size = model.config.image_size
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    try:
        graph = convert(_Network(model).eval(), example)
        pixels = graph.input()
        pixels.get_node().set_element_type(openvino.Type.u8)
        pixels.get_node().set_partial_shape(openvino.PartialShape([-1, size, size, 3]))
        pixels.get_tensor().set_names({"pixels"})
        for name, output in zip(Outputs._fields, graph.outputs, strict=False):
            output.get_tensor().set_names({name})
        graph.validate_nodes_and_infer_types()
    except Exception as error:  # whatever a converter raises
        reason = one_line(error)[:200]
        raise EanetError(f"OpenVINO cannot convert {model.config.name}: {reason}") from error
    return graph


def convert(module: nn.Module, example: Tensor) -> Model:
    """Convert any module in evaluation mode from a trace of what it computes of an example.

    Raises:
        Exception: what PyTorch or OpenVINO raises if they cannot.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, about the checks of shapes
        trace = TorchScriptPythonDecoder(module, example_input=example, shared_memory=False)
    converter = FrontEndManager().load_by_framework("pytorch")
    return converter.convert(converter.load(trace))


def in_runtime(
    model: Classifier,
    runtime: Literal["openvino", "onnxruntime"],
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Runtime:
    """Convert a classifier for another library than PyTorch.

    Arguments and errors as for `open_runtime`.
    """
    from eanet.deploy.export.onnx_file import onnx_model

    check_rgb(model.config)
    metadata = model_metadata(model)
    if runtime == "openvino":
        return OpenVinoRuntime(make_graph(model), model.config, metadata, precision, threads)
    content = onnx_model(model).SerializeToString()
    return OnnxRuntime(content, model.config, metadata, precision, threads)
