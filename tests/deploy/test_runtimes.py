"""Every library computes what PyTorch computes; which of them is taken."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from eanet.cli import main
from eanet.console import notice_once
from eanet.deploy import choosing, conversion, graphs, signal_stack
from eanet.deploy.choosing import FASTER_IN_TORCH, open_runtime
from eanet.deploy.conversion import make_graph
from eanet.deploy.export import onnx_file
from eanet.deploy.openvino_library import load_openvino
from eanet.deploy.openvino_runtime import OpenVinoRuntime
from eanet.deploy.prediction import Outputs
from eanet.deploy.predictor import load
from eanet.deploy.runtime import Pixels, Runtime, RuntimeName
from eanet.deploy.torch_runtime import CHUNK, TorchRuntime
from eanet.device import Device
from eanet.errors import EanetError, WrongArgumentError
from eanet.models import Classifier, create_model, load_model
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.models.weights import model_metadata
from eanet.threads import FreeThreads

OTHERS: list[RuntimeName] = ["openvino", "onnxruntime"]
FIVE = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def runtimes(small: Classifier, small_run: Path) -> dict[str, Runtime]:
    file = small_run / "model.onnx"
    return {
        "torch": TorchRuntime(small, "cpu"),
        "run": open_runtime(small_run, "openvino", threads=2),
        "openvino": open_runtime(file, "openvino", threads=2),
        "onnxruntime": open_runtime(file, "onnxruntime", threads=2),
    }


@pytest.mark.parametrize("name", ["run", "openvino", "onnxruntime"])
@pytest.mark.parametrize("free", [1, 2])
def test_every_runtime_answers_as_pytorch(
    name: str, free: int, runtimes: dict[str, Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FreeThreads, "count", lambda _: free)
    expected = runtimes["torch"](FIVE).logits
    runtime = runtimes[name]
    for part in (slice(5), slice(1), slice(2), slice(0, 5, 2)):
        for compute in (runtime, runtime.on_one_core):
            logits = compute(FIVE[part]).logits
            np.testing.assert_allclose(logits, expected[part], atol=1e-4)
            assert logits.dtype == np.float32
    assert runtime.config == runtimes["torch"].config
    assert runtime.metadata["parameters"] == runtimes["torch"].metadata["parameters"]


@pytest.mark.parametrize("name", ["run", "onnxruntime"])
def test_threads_at_a_time_each_have_their_own_answer(
    name: str, runtimes: dict[str, Runtime]
) -> None:
    expected = runtimes[name].on_one_core(FIVE).logits
    with ThreadPoolExecutor(5) as threads:
        each = threads.map(runtimes[name].on_one_core, [FIVE[i : i + 1] for i in range(5)] * 20)
        for number, outputs in enumerate(each):
            np.testing.assert_allclose(outputs.logits[0], expected[number % 5], atol=1e-5)


@pytest.mark.parametrize(("device", "most"), [("mps", 1), ("cuda", 4)])
def test_threads_take_turns_on_an_apple_gpu_which_crashes_otherwise(
    device: Device, most: int, small: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = TorchRuntime(small, "cpu")
    answer, here, found = runtime(FIVE[:1]), Semaphore(0), []

    def compute(_: Pixels) -> Outputs:
        here.release()
        time.sleep(0.05)
        found.append(here._value)
        here.acquire()
        return answer

    monkeypatch.setattr(runtime, "device", device)
    monkeypatch.setattr(runtime, "_compute", compute)
    with ThreadPoolExecutor(4) as threads:
        calls = [runtime, runtime.on_one_core] * 2
        assert all(part is answer for part in threads.map(lambda call: call(FIVE[:1]), calls))
    assert max(found) == most


@pytest.mark.skipif(joblib.cpu_count() < 2, reason="OpenVINO takes no more threads than cores")
def test_one_image_takes_all_cores_and_one_while_others_are_busy(
    small: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = make_graph(small)
    runtime = OpenVinoRuntime(graph, small.config, model_metadata(small), threads=2)
    compiled: list[Any] = []
    real = runtime._compile
    monkeypatch.setattr(
        runtime, "_compile", lambda *key: compiled.append(real(*key)) or compiled[-1]
    )
    for free in (2, 1):
        monkeypatch.setattr(FreeThreads, "count", lambda _, free=free: free)
        runtime(FIVE[:1]), runtime(FIVE[:1])
    runtime(FIVE)
    found = [
        [str(graph.get_property(name)) for name in ("INFERENCE_NUM_THREADS", "NUM_STREAMS")]
        for graph in compiled
    ]
    assert found == [["2", "1"], ["1", "1"], ["2", "2"]]
    assert {graph.get_property("INFERENCE_PRECISION_HINT").to_string() for graph in compiled} == {
        "f32"
    }


def test_no_gelu_is_left_that_openvino_would_compute_in_a_convolution(small: Classifier) -> None:
    """A depthwise convolution that computes GELU as well takes six times as long."""
    graph = make_graph(small)
    assert "Gelu" not in {operation.get_type_name() for operation in graph.get_ops()}


def test_many_images_are_answered_in_order_by_pytorch(small: Classifier) -> None:
    many = np.random.default_rng(1).integers(256, size=(2 * CHUNK + 3, 8, 8, 3), dtype=np.uint8)
    runtime = TorchRuntime(small, "cpu")
    each = np.concatenate([runtime(many[i : i + 1]).logits for i in range(len(many))])
    np.testing.assert_allclose(runtime(many).logits, each, atol=1e-5)


def test_distances_from_the_training_images_are_computed_too() -> None:
    torch.manual_seed(0)
    model = create_model("vit", num_classes=3, image_size=8, depth=1, dim=16, heads=2).eval()
    model.detector = UnknownDetector(16, 3, DetectorFit(0.05, 10, 10))
    model.detector.whitening.copy_(torch.eye(16))
    runtime = OpenVinoRuntime(make_graph(model), model.config, model_metadata(model), threads=2)
    expected = TorchRuntime(model, "cpu")(FIVE).distance
    assert expected is not None
    np.testing.assert_allclose(runtime(FIVE).distance, expected, atol=1e-4)


def test_converting_reports_to_nobody(small: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = pytest.importorskip("openvino_telemetry")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("reported")

    for name in ("start_session", "send_event", "send_error", "end_session"):
        monkeypatch.setattr(telemetry.Telemetry, name, refuse)
    make_graph(small)


def test_importing_reports_to_nobody(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "def hook(event, arguments):\n"
        "    if event.startswith('socket.'): sys.exit(f'reported: {event} {arguments}')\n"
        "sys.addaudithook(hook)\n"
        "from eanet.deploy.openvino_library import load_openvino\n"
        "print(load_openvino().__name__, 'openvino_telemetry' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.stdout == "openvino False\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copy(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run and an empty cache."""
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def count_calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    calls: list[Any] = []
    real = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: calls.append(given) or real(*given))
    return calls


def test_a_graph_is_kept_and_made_anew_if_it_is_not_as_it_was_written(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = count_calls(monkeypatch, conversion, "make_graph")
    first, second = (open_runtime(copy, "openvino")(FIVE).logits for _ in range(2))
    assert len(made) == 1
    np.testing.assert_array_equal(first, second)
    (kept,) = (copy.parent / "cache" / "graphs").glob("*/graph.bin")
    content = bytearray(kept.read_bytes())
    content[0] ^= 1
    kept.write_bytes(content)
    np.testing.assert_array_equal(open_runtime(copy, "openvino")(FIVE).logits, first)
    assert len(made) == 2


def test_only_the_newest_graphs_are_kept(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "KEPT", 2)
    graph = make_graph(load_model(copy))
    for digest in ("a", "b", "c"):
        graphs.keep_graph(graph, digest)
    assert [graphs.kept_graph(digest) is None for digest in ("a", "b", "c")] == [True, False, False]


def test_a_graph_that_cannot_be_kept_computes_all_the_same(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")  # as OpenVINO says of a full disk

    monkeypatch.setattr(load_openvino(), "save_model", full)
    assert open_runtime(copy, "openvino")(FIVE).logits.shape[0] == len(FIVE)
    assert list((copy.parent / "cache" / "graphs").iterdir()) == []


def test_auto_takes_openvino_where_it_is_worth_its_start(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def name(images: int | None) -> str:
        return open_runtime(copy, images=images).name

    assert [name(1), name(4_999), name(5_000)] == ["torch", "torch", "openvino"]
    assert [name(1), name(1_000), name(None)] == ["openvino"] * 3  # its graph is kept
    monkeypatch.setattr(choosing, "FASTER_IN_TORCH", {"vit"})
    assert [name(9_000), name(None)] == ["torch", "openvino"]
    assert {"keras_eanet"} == FASTER_IN_TORCH


def test_auto_takes_pytorch_where_openvino_cannot(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise EanetError("OpenVINO cannot convert vit: no rule")

    monkeypatch.setattr(conversion, "make_graph", fail)
    assert load(copy).runtime.name == "torch"
    with pytest.raises(EanetError, match="cannot convert vit: no rule"):
        load(copy, runtime="openvino")


@pytest.mark.parametrize("runtime", OTHERS)
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    runtime: RuntimeName, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda _: None)
    with pytest.raises(EanetError, match=rf"{runtime} is missing: pip install {runtime}$"):
        open_runtime(copy, runtime)
    assert open_runtime(copy, images=10**6).name == "torch"


def test_a_run_is_exported_for_onnx_runtime(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = onnx.load(copy / "model.onnx")
    monkeypatch.setattr(onnx_file, "onnx_model", lambda _: exported)  # which takes seconds
    runtime = open_runtime(copy, "onnxruntime", threads=1)
    assert runtime.name == "onnxruntime"
    np.testing.assert_allclose(
        runtime(FIVE).logits, open_runtime(copy, "torch")(FIVE).logits, atol=1e-4
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"runtime": "openvno"}, "unknown runtime 'openvno'; did you mean 'openvino'"),
        (
            {"runtime": "openvino", "precision": "fp16"},
            "unknown precision 'fp16'; did you mean 'bf1",
        ),
        ({"runtime": "torch", "precision": "half"}, "unknown precision 'half'; known: bf16, fp32"),
        ({"runtime": "openvino", "device": "cuda"}, "openvino computes on the CPU here, not on"),
        ({"name": "model.onnx", "device": "cuda"}, "file is computed on the CPU here, not on cuda"),
        (
            {"name": "model.onnx", "runtime": "onnxruntime", "precision": "bf16"},
            "in fp32 on a CPU, not in bf16",
        ),
    ],
)
def test_what_a_library_cannot_do_is_one_line(
    asked: dict[str, Any], message: str, copy: Path
) -> None:
    given = {name: value for name, value in asked.items() if name != "name"}
    with pytest.raises(WrongArgumentError, match=message):
        open_runtime(copy / asked.get("name", ""), **given)


@pytest.mark.parametrize("has_it", [True, False])
def test_openvino_says_that_it_computes_in_fp32_where_there_is_no_bf16(
    has_it: bool, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("eanet.deploy.openvino_runtime.computes_bf16", lambda: has_it)
    monkeypatch.setattr("eanet.device.has_bf16", lambda device: False)  # PyTorch's own question
    notice_once.cache_clear()
    predictor = load(copy / "model.onnx", precision="bf16", runtime="openvino")
    assert f"openvino on cpu in {'bf16' if has_it else 'fp32'}" in repr(predictor)
    told = "" if has_it else "this processor has no bf16: OpenVINO computes in fp32\n"
    Image.new("RGB", (8, 8)).save(copy / "x.png")
    options = ["--runtime", "openvino", "--precision", "bf16"]
    assert main(["predict", str(copy / "model.onnx"), str(copy / "x.png"), *options]) == 0
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("runtime", ["torch", "auto"])
def test_a_device_may_be_one_of_pytorch(runtime: RuntimeName, small_run: Path) -> None:
    assert load(small_run, device=torch.device("cpu"), runtime=runtime).device == "cpu"  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["torch", "openvino", "onnxruntime"])
def test_a_predictor_is_copied_and_sent_to_other_processes(
    runtime: RuntimeName, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_run.parent)
    predictor, image = load(small_run.name, "cpu", runtime=runtime), Image.new("RGB", (9, 9), "red")
    expected = predictor.predict(image)[0]
    kept = pickle.dumps(predictor)
    monkeypatch.chdir(tmp_path)
    found = pickle.loads(kept)
    assert found.runtime.name == runtime
    assert found.predict(image)[0].probabilities == pytest.approx(expected.probabilities, abs=1e-6)


def test_the_network_is_there_whatever_computes_it(copy: Path) -> None:
    predictor = load(copy, runtime="openvino")
    assert predictor.model.config == predictor.config
    assert predictor.module is predictor.model


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks of Linux")
def test_a_thread_handles_signals_where_it_did_before_openvino(small_run: Path) -> None:
    """Else it is left with memory of a graph that is gone, and Ctrl-C is a segmentation fault."""

    def pointer() -> int | None:
        stack = signal_stack._Stack()
        ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
        return stack.pointer

    before = pointer()
    runtime = open_runtime(small_run, "openvino", threads=2)
    for count in (1, 2):
        runtime(FIVE[:count])
        assert pointer() == before
