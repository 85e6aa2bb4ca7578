"""An exported file is a model for every command, and a stranger's file until it is checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import eanet
from eanet.cli import main
from eanet.deploy.predictor import load
from eanet.errors import EanetError
from eanet.metrics.evaluation import evaluate_model
from eanet.model_files import exported
from eanet.model_files.exported import read_exported
from eanet.models import Classifier
from eanet.models.weights import model_metadata

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def file(small_run: Path) -> Path:
    return small_run / "model.onnx"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, small: Classifier) -> Path:
    """Three pictures of each of the model's classes, all noise."""
    folder = tmp_path_factory.mktemp("data") / "animals"
    random = np.random.default_rng(0)
    for name in small.classes:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (12, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_it_says_which_model_it_holds(file: Path, small: Classifier) -> None:
    found = read_exported(file)
    assert found.config == small.config
    assert found.metadata.items() >= json.loads(json.dumps(model_metadata(small))).items()


@pytest.mark.parametrize("runtime", ["auto", "openvino", "onnxruntime"])
def test_images_are_answered_as_by_the_run(
    runtime: exported.Any, file: Path, small_run: Path, pictures: Path
) -> None:
    paths = sorted(pictures.glob("*/*.png"))
    expected = load(small_run, runtime="torch").predict(paths)
    for answer, one in zip(load(file, runtime=runtime).predict(paths), expected, strict=True):
        assert answer.classes == one.classes
        assert answer.probabilities == pytest.approx(one.probabilities, abs=1e-5)


def test_the_commands_take_it(
    file: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(pictures / "ant" / "0.png")
    assert main(["predict", str(file), image, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("computing with openvino\n")
    named = {p["class"]: p["probability"] for p in json.loads(out)["predictions"]}
    (expected,) = load(file).predict(image)
    assert list(named) == list(expected.classes)
    assert main(["explain", str(file), image, "--output", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["0.png"]


def test_it_is_evaluated_as_the_run(
    file: Path, small: Classifier, pictures: Path, tmp_path: Path
) -> None:
    report = eanet.evaluate(file, data=pictures, split="train", output=tmp_path)
    assert report.metrics == pytest.approx(evaluate_model(small, report.images).metrics(), abs=1e-4)
    assert (tmp_path / "report.html").is_file()


def test_what_needs_the_network_names_the_run(file: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="is an exported file; the run it is from has a network"):
        _ = load(file).model
    with pytest.raises(EanetError, match="layer=1: vit has no such block with attention"):
        eanet.explain(file, pictures / "ant" / "0.png", output=tmp_path, layer=1)
    with pytest.raises(EanetError, match="name the run that an exported file is from"):
        eanet.evaluate(file, data=pictures, output=tmp_path, false_rejections=0.05)
    with pytest.raises(EanetError, match="PyTorch takes the run it is from"):
        load(file, runtime="torch")
    with pytest.raises(EanetError, match="computed on the CPU here, not on cuda"):
        eanet.evaluate(file, data=pictures, output=tmp_path, device="cuda")


def test_the_squares_that_an_answer_rests_on_are_those_of_the_run(
    file: Path, small_run: Path, pictures: Path
) -> None:
    from eanet.explanation.explain import explain_image

    pixels = load(file).decode(pictures / "bee" / "1.png")
    found, expected = (explain_image(load(where).module, pixels) for where in (file, small_run))
    assert found.maps is None
    assert found.predicted == expected.predicted
    np.testing.assert_allclose(found.regions.losses, expected.regions.losses, atol=0.01)


def outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def outside_within(model: onnx.ModelProto) -> None:
    """In an attribute of an operator instead of among the weights."""
    node = model.graph.node.add(op_type="Constant", output=["x"])
    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    node.attribute.append(onnx.helper.make_attribute("value", tensor))


def looping(model: onnx.ModelProto) -> None:
    body = onnx.helper.make_graph([onnx.helper.make_node("Loop", [], ["x"])], "body", [], [])
    node = model.graph.node.add(op_type="If", output=["x"])
    node.attribute.append(onnx.helper.make_attribute("then_branch", body))


def changed(name: str, value: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        (entry,) = (entry for entry in model.metadata_props if entry.key == "eanet")
        entry.value = json.dumps(json.loads(entry.value) | {name: value})

    return change


def of_floats(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside, "keeps its weights in another file"),
        (outside_within, "keeps its weights in another file"),
        (looping, "has an operator that no export of eanet has: Loop"),
        (lambda model: model.ClearField("metadata_props"), "was not written by eanet"),
        (changed("classes", ["ant", "bee"]), "does not take pixels or answer with logits"),
        (changed("classes", "ant"), "cannot build"),
        (changed("unknown", {"fit": 0.05}), "cannot build"),
        (changed("image_size", 10**9), "image_size=1000000000: 1 to 4096 pixels"),
        (changed("in_channels", 1), "takes 1-channel images"),
        (of_floats, "does not take pixels or answer with logits"),
    ],
)
def test_a_file_that_is_no_export_or_could_do_more_is_one_line(
    change: Change, message: str, file: Path, tmp_path: Path
) -> None:
    model = onnx.load(file)
    change(model)
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    with pytest.raises(EanetError, match=message):
        load(other)


@pytest.mark.parametrize("length", [0, 10, 5000])
def test_a_file_that_is_cut_off_is_one_line(length: int, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "cut.onnx"
    other.write_bytes(file.read_bytes()[:length])
    with pytest.raises(EanetError, match=r"is not an ONNX file, or not all of it|not written by"):
        load(other)


def test_a_large_file_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "LARGEST", 1000)
    with pytest.raises(EanetError, match="is larger than 1,000 bytes"):
        load(file)


def test_a_program_of_pytorch_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"anything")
    with pytest.raises(EanetError, match="loading it could execute code"):
        load(tmp_path / "model.pt2")


def test_who_evaluates_the_file_of_a_run_is_told_that_it_may_have_seen_the_images(
    small_run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    (run / "config.yaml").touch()
    eanet.evaluate(run / "model.onnx", data=pictures, split="train", output=tmp_path / "report")
    told = f"{run / 'model.onnx'} does not know its training images; name {run} to leave them out\n"
    assert told in capsys.readouterr().err
