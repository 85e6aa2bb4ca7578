"""Model files that strangers wrote: one line, and no memory or time that the file does not have."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from eanet import create_model, load_model, save_model
from eanet.errors import EanetError
from eanet.models import weights

CONFIG: dict[str, Any] = {
    "name": "keras_mlp",
    "image_size": 8,
    "in_channels": 3,
    "classes": ["a", "b"],
    "settings": {},
}


def write(path: Path, config: object, **tensors: object) -> Path:
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "eanet": json.dumps(config)}}
    header |= tensors or {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {"embedding_dim": 12_000, "mlp_dim": 12_000},
        {"embedding_dim": 65_536, "mlp_dim": 65_536, "num_transformer_blocks": 1000},
        {"num_transformer_blocks": 100_000},
        {"embedding_dim": 10**30},
        {"patch_size": 10**30},
        {"dropout": 1e400},
    ],
)
@pytest.mark.parametrize("size", [8, 2048, 2**20])
def test_no_memory_is_taken_for_a_model_that_its_file_does_not_hold(
    settings: dict[str, Any], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.safetensors", CONFIG | {"settings": settings, "image_size": size})
    build, began = weights._build, time.process_time()

    def on_meta_alone(metadata: Any) -> Any:
        assert torch.get_default_device().type == "meta", "memory is taken"
        return build(metadata)

    monkeypatch.setattr(weights, "_build", on_meta_alone)
    with pytest.raises(EanetError, match=r"x\.safetensors") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert time.process_time() - began < 20


WRONG = [None, 5, "x", [], {}, [5], {"a": []}, True, 1.5]


@pytest.mark.parametrize("entry", CONFIG)
@pytest.mark.parametrize("value", WRONG, ids=str)
def test_metadata_of_another_type_are_one_line(entry: str, value: object, tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", CONFIG | {entry: value})
    with pytest.raises(EanetError, match=r"x\.safetensors") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", WRONG, ids=str)
def test_metadata_that_are_no_mapping_are_one_line(value: object, tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", value)
    with pytest.raises(EanetError, match=r"x\.safetensors was not written by eanet"):
        load_model(path)


def test_metadata_that_are_too_deep_are_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", None)
    content = path.read_bytes()[8:].replace(b'"null"', b'"' + b"[" * 100_000 + b'"')
    path.write_bytes(struct.pack("<Q", len(content) - 4) + content)
    with pytest.raises(EanetError, match="is not a readable safetensors file"):
        load_model(path)


@pytest.mark.parametrize("size", [0, 1, 1 << 25, 1 << 62, (1 << 64) - 1])
def test_a_header_of_another_length_is_not_read(size: int, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", size) + b"{}" + b" " * 100)
    with pytest.raises(EanetError, match="is not a readable safetensors file"):
        load_model(path)


def test_random_numbers_of_the_caller_are_not_drawn_to_save(tmp_path: Path) -> None:
    model = create_model("vit:depth=1,dim=8", num_classes=2, image_size=8)
    state = torch.get_rng_state()
    save_model(model, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
