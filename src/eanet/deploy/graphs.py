"""Networks as graphs of OpenVINO, made once and kept in the cache folder.

A graph holds the network alone, from pixels of its own size, computed by formulas: no operators of
this package. It is made from a trace, by the same part of OpenVINO that its `convert_model` calls;
that would also report the conversion to its makers.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from eanet.deploy.openvino_library import load_openvino
from eanet.deploy.prediction import Outputs
from eanet.errors import EanetError
from eanet.files import cache_dir, private_folder
from eanet.models import Classifier
from eanet.private_files import move_sealed, read_sealed, seal
from eanet.version import __version__

if TYPE_CHECKING:
    from openvino import Model

KEPT = 32  # graphs; beyond that, the one that was made first is removed
GRAPH, WEIGHTS = "graph.xml", "graph.bin"


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
        reason = " ".join(str(error).split())[:200]
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


def kept_graph(digest: str) -> Model | None:
    """Return the graph of a model that was kept, if there is one.

    Args:
        digest: of the model's file: see `eanet.models.weights.model_digest`.
    """
    openvino = load_openvino()

    with suppress(OSError, EanetError):
        folder = _folder() / _name(digest)
        graph, weights = read_sealed(folder / GRAPH), read_sealed(folder / WEIGHTS)
        return openvino.Core().read_model(graph, weights)
    return None


def keep_graph(graph: Model, digest: str) -> None:
    """Keep a graph for later processes, as `kept_graph` finds it; if it cannot be kept, do not."""
    openvino = load_openvino()

    with suppress(OSError, EanetError):
        folder = _folder()
        with TemporaryDirectory(dir=folder) as own:  # several processes may make it
            made = Path(own) / GRAPH
            openvino.save_model(graph, str(made), compress_to_fp16=False)
            place = folder / _name(digest)
            place.mkdir(mode=0o700, exist_ok=True)
            for file in (made.with_name(WEIGHTS), made):
                seal(file)
                move_sealed(file, place / file.name)
        graphs = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in graphs[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _folder() -> Path:
    return private_folder(cache_dir() / "graphs")


def _name(digest: str) -> str:
    """Name of the graph of a file, as converted by these versions."""
    openvino = load_openvino()

    made_by = repr((digest, __version__, openvino.__version__))
    return hashlib.sha256(made_by.encode()).hexdigest()[:32]
