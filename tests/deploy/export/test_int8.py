"""Files that compute in 8 bits, and what that costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eanet
from eanet.cli import main
from eanet.deploy.export import int8
from eanet.deploy.export.onnx_file import read_properties

onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`")


@pytest.fixture
def quick(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports in no time: the file of `small_run`, for the classes of the digits."""
    monkeypatch.setattr(int8, "onnx_model", lambda *_: onnx.load(small_run / "model.onnx"))


@pytest.fixture
def data(small_run: Path, tmp_path: Path) -> Path:
    """A folder of images of the model's classes; the model's own answers say which."""
    random = np.random.default_rng(0)
    predictor = eanet.load(small_run, "cpu", runtime="torch")
    folder = tmp_path / "data"
    for number in range(160):
        blobs = random.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        image = Image.fromarray(blobs).resize((12, 12), Image.Resampling.BICUBIC)
        top1 = predictor.predict(image)[0].top1
        (folder / top1).mkdir(parents=True, exist_ok=True)
        image.save(folder / top1 / f"{number}.png")
    return folder


@pytest.mark.usefixtures("quick")
def test_products_are_in_8_bits_and_what_they_cost_is_told(
    small_run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert main(["export", str(run), "--int8", "--data", str(data)]) == 0
    out = capsys.readouterr().out
    path = run / "model-int8.onnx"
    proto = onnx.load(path)
    kinds = {node.op_type for node in proto.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    resizing = [node for node in proto.graph.node if node.name.startswith("resize/")]
    assert sum(node.op_type == "MatMul" for node in resizing) == 4
    quantized = {
        name for node in proto.graph.node if "Linear" in node.op_type for name in node.output
    }
    assert not any(name in quantized for node in resizing for name in node.input)
    assert read_properties(path).items() >= read_properties(run / "model.onnx").items()
    assert not list(run.glob("*.data"))
    figures = json.loads((run / "model-int8.onnx.json").read_text())["int8"]
    assert figures["top1_before"] == 1, "the labels are the model's own answers"
    assert figures["lost"] == pytest.approx(1 - figures["top1"])
    assert 0 <= figures["lost"] < 0.2
    assert figures["lost_low"] <= figures["lost"] <= figures["lost_high"]
    assert figures["speedup"] > 0
    assert f"8 bits: top-1 on {figures['images']} " in out
    assert f"lost {100 * figures['lost']:.2f} points (95% interval " in out
    assert f"{figures['speedup']:.2f} times as fast" in out


def test_distances_from_the_training_images_are_not_in_8_bits(tmp_path: Path) -> None:
    helper, kind, eye = onnx.helper, onnx.TensorProto.FLOAT, np.eye(3, dtype=np.float32)
    names = {"model.head/MatMul": "logits", "model.detector/MatMul": "distance"}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["pixels", name], [out], name) for name, out in names.items()],
        "graph",
        [helper.make_tensor_value_info("pixels", kind, [32, 3])],
        [helper.make_tensor_value_info(out, kind, [32, 3]) for out in names.values()],
        [onnx.numpy_helper.from_array(eye, name) for name in names],
    )
    opset = helper.make_opsetid("", 18)
    plain = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    int8._quantize(plain, tmp_path / "model.onnx", np.ones((64, 3), np.float32))
    found = {node.name: node.input[1] for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert {name: found[name] == name for name in names} == dict(
        zip(names, (False, True), strict=True)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "int8 needs training images: name some with --data"),
        (["--format", "torch"], "int8 belongs to the format onnx alone, not to torch"),
    ],
)
def test_what_it_needs_is_one_line(
    small_run: Path,
    refused: Callable[..., tuple[int, str]],
    arguments: list[str],
    message: str,
) -> None:
    assert refused("export", small_run, "--int8", *arguments)[1] == message
