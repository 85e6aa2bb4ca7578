"""ONNX files answer as the model that they were made from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.deploy.export import program as program_module
from eanet.deploy.export.onnx_file import onnx_model
from eanet.deploy.export.program import Program, outputs, trace
from eanet.model_files.find import model_digest
from eanet.models import Classifier, create_model
from eanet.models.registry import models
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.models.weights import model_metadata
from eanet.version import __version__
from tests.support.settings import blocks

onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`")
ort = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")


def open_session(model: str | bytes):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options)


@pytest.fixture(scope="module")
def session(small_run: Path):
    return open_session(str(small_run / "model.onnx"))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def compare(session, model: Classifier, pixels: np.ndarray) -> None:
    """Images (B, S, S, 3) of the model's size."""
    logits, probabilities = session.run(["logits", "probabilities"], {"pixels": pixels})
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert logits.dtype == probabilities.dtype == np.float32
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(probabilities, expected.softmax(1).numpy(), atol=1e-5)


# One of each way to build a model, and each of the family's mixings, and without convolutions.
NAMES = {getattr(entry.build, "func", entry.build): entry.name for entry in models()}.values()
VARIANTS = ["eanet_nano:mixing=self", "eanet_nano:conv=false"]


class OwnSize(nn.Module):
    """Instead of the resizing, which takes most of the time: images have the model's size."""

    def __init__(self, size: int, _: object) -> None:
        super().__init__()
        self.size = size

    def forward(self, pixels: Tensor) -> Tensor:
        return F.interpolate(pixels.permute(0, 3, 1, 2).float(), (self.size, self.size))


@pytest.fixture
def own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "Resize", OwnSize)


def make(name: str) -> Classifier:
    """A small model whose statistics and norms are as if trained."""
    torch.manual_seed(0)
    shallow = blocks(name.split(":")[0], 1)
    model = create_model(name, num_classes=3, image_size=16, **shallow).eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return model


@pytest.mark.slow
@pytest.mark.usefixtures("own_size")
@pytest.mark.parametrize("name", [*NAMES, *VARIANTS])
def test_every_model_is_recorded_as_formulas(name: str) -> None:
    """Which every exporter knows, unlike the operators of this package."""
    model = make(name)
    program = trace(model)
    called = {n.target.namespace for n in program.graph.nodes if hasattr(n.target, "namespace")}
    assert called == {"aten"}
    pixels = torch.from_numpy(noise(3, 16, 16))
    with torch.inference_mode():
        expected = model(pixels.permute(0, 3, 1, 2))
        torch.testing.assert_close(program.module()(pixels)[0], expected, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.usefixtures("own_size")
def test_a_model_that_knows_the_unknown_has_a_third_output() -> None:
    model = make("vit")
    model.detector = UnknownDetector(model.head.in_features, 3, DetectorFit(0.05, 10, 10))
    model.detector.whitening.copy_(torch.eye(model.head.in_features))
    assert outputs(model) == ["logits", "probabilities", "distance"]
    pixels = torch.from_numpy(noise(3, 16, 16))
    with torch.inference_mode():
        *_, distance = trace(model).module()(pixels)
        expected = model.forward_with_distance(pixels.permute(0, 3, 1, 2))[1]
    torch.testing.assert_close(distance, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.usefixtures("own_size")
@pytest.mark.parametrize("name", ["keras_eanet", "eanet_nano"])
def test_what_models_are_made_of_is_the_same_in_onnx(name: str) -> None:
    model = make(name)
    proto = onnx_model(model)
    compare(open_session(proto.SerializeToString()), model, noise(3, 16, 16))
    constants = {tensor.name for tensor in proto.graph.initializer}
    products = [set(node.input) for node in proto.graph.node if node.op_type == "MatMul"]
    assert any(factors & constants for factors in products)
    assert not any(factors <= constants for factors in products), "computed in each call"


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (1, 30), (30, 1), (4, 16), (64, 16), (101, 75)])
def test_any_number_of_images_of_any_size_are_answered(
    session, small: Classifier, batch: int, size: tuple[int, int]
) -> None:
    pixels = noise(batch, *size)
    logits, probabilities = session.run(None, {"pixels": pixels})
    with torch.inference_mode():
        expected = Program(small)(torch.from_numpy(pixels))
    np.testing.assert_allclose(logits, expected[0], atol=1e-3)
    np.testing.assert_allclose(probabilities, expected[1], atol=1e-4)


def test_the_file_is_whole_and_says_what_it_is(small_run: Path, small: Classifier) -> None:
    assert {file.name for file in small_run.iterdir()} >= {"model.onnx"}
    assert not list(small_run.glob("*.data"))
    proto = onnx.load(small_run / "model.onnx", load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert {node.domain for node in proto.graph.node} == {""}, "no operators of our own"
    parts = {node.name.split("/")[0] for node in proto.graph.node}
    assert parts >= {"resize", "model.normalization", "model.head"}
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {
        "pixels": ["batch", "height", "width", 3],
        "logits": ["batch", len(small.classes)],
        "probabilities": ["batch", len(small.classes)],
    }
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(properties["eanet"]) == json.loads(json.dumps(model_metadata(small))) | {
        "version": __version__,
        "weights_sha256": model_digest(small_run),
    }
    assert properties["classes"].split("\n") == list(small.classes)
    assert properties["image_size"] == "8"


def test_the_file_says_nothing_of_the_machine_that_made_it(small_run: Path) -> None:
    content = (small_run / "model.onnx").read_bytes()
    assert b".py" not in content
    assert b"site-packages" not in content


def test_the_model_stays_as_it_was() -> None:
    model = create_model("vit", num_classes=2, image_size=8, depth=1, dim=16, heads=2)
    model.train().bfloat16()
    trace(model)
    assert model.training
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert all(p.requires_grad for p in model.parameters())
