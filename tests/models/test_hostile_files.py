"""Model files that strangers wrote: one line, and no memory or time that the file does not have."""

from __future__ import annotations

import json
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from eanet import create_model, load_model, save_model
from eanet.errors import EanetError
from eanet.models import weights
from eanet.models.keras_import import import_keras

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


def huge(group: Any) -> None:
    group.create_dataset("0", shape=(10**11,), dtype="f4")


def compressed(group: Any) -> None:
    group.create_dataset("0", data=np.zeros((1000, 1000), "f4"), compression="gzip")


def elsewhere(group: Any) -> None:
    group["0"] = h5py.ExternalLink("/etc/passwd", "/x")


def external(group: Any) -> None:
    group.create_dataset("0", shape=(4,), dtype="f4", external=[("/etc/passwd", 0, 16)])


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout(shape=(10**9,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(10**9,))
    group.create_virtual_dataset("0", layout)


def circle(group: Any) -> None:
    for i in range(20):
        group[f"again{i}"] = group


def deep(group: Any) -> None:
    for _ in range(100):
        group = group.create_group("a")


def text(group: Any) -> None:
    group["0"] = "text"


def no_number(group: Any) -> None:
    group["x"] = np.zeros(1, "f4")


@pytest.mark.parametrize(
    "attack", [huge, compressed, elsewhere, external, virtual, circle, deep, text, no_number]
)
@pytest.mark.parametrize("packed", [False, True], ids=["h5", "keras"])
def test_a_hostile_file_of_keras_is_one_line(
    attack: Callable[[Any], None], packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        attack(file.create_group("layers/dense/vars"))
    if packed:
        with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
            archive.write(path, "model.weights.h5")
            archive.writestr("config.json", "{}")
        path = tmp_path / "x.keras"
    began = time.process_time()
    with pytest.raises(EanetError, match="is not a readable file of Keras 3") as caught:
        import_keras(path)
    assert "\n" not in str(caught.value)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("member", ["model.weights.h5", "config.json"])
def test_an_archive_of_keras_that_unpacks_to_too_much_is_not_unpacked(
    member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("model.weights.h5", "config.json"):
            archive.writestr(name, bytes(1 << 25) if name == member else b"{}")
    read = zipfile.ZipFile.read

    def small(self: zipfile.ZipFile, name: str, *rest: Any) -> bytes:
        assert self.getinfo(name).file_size < 1 << 24
        return read(self, name, *rest)

    monkeypatch.setattr(zipfile.ZipFile, "read", small)
    with pytest.raises(EanetError, match="is not a readable file of Keras 3"):
        import_keras(path)
