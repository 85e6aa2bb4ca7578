"""What goes to the Hub: weights, their ONNX file, and a card that says how to use it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from eanet.cli import main
from eanet.model_files.exported import exported_beside
from eanet.model_files.find import model_digest
from eanet.models import Classifier, create_model, load_model, save_model

CLASSES = ("ant", "bee", "cat")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A model and what stands for its exported file: the metadata of one, and an empty graph."""
    folder = tmp_path / "run"
    save_model(create_model("vit:depth=1,dim=8,heads=2", classes=CLASSES, image_size=8), folder)
    write_exported(folder / "model.onnx", load_model(folder), model_digest(folder))
    return folder


def write_exported(path: Path, model: Classifier, digest: str) -> None:
    from eanet.deploy.export.metadata import file_metadata

    kind = onnx.TensorProto
    pixels = onnx.helper.make_tensor_value_info("pixels", kind.UINT8, ["b", "h", "w", 3])
    logits = onnx.helper.make_tensor_value_info("logits", kind.FLOAT, ["b", len(CLASSES)])
    proto = onnx.helper.make_model(onnx.helper.make_graph([], "none", [pixels], [logits]))
    for key, value in file_metadata(model, digest).items():
        proto.metadata_props.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())


def test_the_file_goes_along_with_its_weights_and_the_card_uses_it(
    run: Path, tmp_path: Path
) -> None:
    load_model(run).save_pretrained(tmp_path / "hub")
    assert {file.name for file in (tmp_path / "hub").iterdir()} == {
        *("README.md", "config.json", "model.onnx", "model.safetensors"),
    }
    assert (
        exported_beside(tmp_path / "hub" / "model.safetensors") == tmp_path / "hub" / "model.onnx"
    )
    card = (tmp_path / "hub" / "README.md").read_text()
    assert 'hf_hub_download("OWNER/NAME", "model.onnx")' in card
    assert r'["classes"].split("\n")' in card


def test_a_model_without_such_a_file_says_how_to_write_one(run: Path, tmp_path: Path) -> None:
    (run / "model.onnx").unlink()
    load_model(run).save_pretrained(tmp_path / "hub")
    assert not (tmp_path / "hub" / "model.onnx").exists()
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "`eanet export OWNER/NAME` writes an ONNX file" in card
    assert "onnxruntime" not in card


def test_the_file_of_other_weights_stays_behind(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(run)
    with torch.no_grad():
        model.head.bias += 1
    model.save_pretrained(tmp_path / "changed")
    assert "model.onnx is not added: the model has changed since" in capsys.readouterr().err
    write_exported(run / "model.onnx", model, "0" * 64)
    load_model(run).save_pretrained(tmp_path / "stale")
    assert "was exported from other weights" in capsys.readouterr().err
    for name in ("changed", "stale"):
        assert not (tmp_path / name / "model.onnx").exists()
        assert load_model(tmp_path / name).config == model.config


def test_the_card_that_is_pushed_names_its_repository(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, Any] = {}

    class Hub:
        def __init__(self, **_: object) -> None:
            pass

        def create_repo(self, repo_id: str, **_: object) -> Any:
            return type("Url", (), {"repo_id": repo_id})()

        def upload_folder(self, *, folder_path: str, **_: object) -> str:
            for file in Path(folder_path).iterdir():
                sent[file.name] = file.read_bytes()
            return "url"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Hub)
    load_model(run).push_to_hub("me/insects")
    assert sent["model.onnx"] == (run / "model.onnx").read_bytes()
    assert b'hf_hub_download("me/insects", "model.onnx")' in sent["README.md"]


def test_a_trained_model_is_described_with_its_exported_file(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", str(run)]) == 0
    out = capsys.readouterr().out
    for text in ("vit:", "depth=1", "8 x 8", "3: ant, bee, cat", str(run / "model.onnx")):
        assert text in out
    shutil.move(run / "model.onnx", run / "other.onnx")
    assert main(["models", str(run)]) == 0
    assert f"none; eanet export {run} writes it" in capsys.readouterr().out
    assert main(["models", "eanet_tiny_cifar100"]) == 0
    out = capsys.readouterr().out
    for text in ("32 x 32", "cifar100", "100: ", "75.19%", "none; eanet export"):
        assert text in out


def test_an_unknown_name_is_one_line_with_the_nearest(refused: Any) -> None:
    line = "unknown model 'eanet_tiny_cifar10'; did you mean 'eanet_tiny_cifar100'?"
    assert refused("models", "eanet_tiny_cifar10") == (2, line)
