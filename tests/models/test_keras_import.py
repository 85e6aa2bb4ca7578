"""Reading the Keras example's networks from files that Keras really saved."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eanet.errors import EanetError
from eanet.models.keras_import import import_keras
from eanet.models.registry import create_model
from tests.support.keras_example import build_example, keras, layers, randomize

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SMALL = {
    "image_size": 12,
    "num_classes": 7,
    "patch_size": 3,
    "dim": 16,
    "mlp_dim": 24,
    "depth": 3,
    "heads": 2,
    "coefficient": 2,
}


@pytest.fixture(scope="module", params=["external_attention", "self_attention"])
def example(request: pytest.FixtureRequest) -> Any:
    """A small network of the example after a step of training, so that an optimiser is saved."""
    keras.utils.set_random_seed(0)
    model = build_example(request.param, dropout=0.2, **SMALL)
    randomize(model)
    model.compile("adamw", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.full((2, 12, 12, 3), 128.0), np.array([0, 6]), verbose=0)
    return model


@pytest.mark.parametrize("name", ["network.weights.h5", "network.keras"])
def test_both_kinds_of_file_give_the_network_back(example: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    (example.save if path.suffix == ".keras" else example.save_weights)(path)
    model = import_keras(path)
    images = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8)
    with torch.no_grad():
        expected = example(images.permute(0, 2, 3, 1).float(), training=False)
        torch.testing.assert_close(model(images).softmax(-1), expected, atol=1e-5, rtol=0)
    assert not model.training


def test_the_sizes_are_found_out_from_the_shapes(example: Any, tmp_path: Path) -> None:
    example.save_weights(tmp_path / "network.weights.h5")
    config = import_keras(str(tmp_path / "network.weights.h5")).config
    common = {"patch_size": 3, "depth": 3, "dim": 16, "mlp_dim": 24}
    assert (config.name, config.settings) in [
        ("keras_eanet", common | {"heads": 4, "slots": 8, "coefficient": 2}),
        ("keras_vit", common | {"heads": 2, "head_dim": 16}),
    ]
    assert (config.image_size, config.in_channels) == (12, 3)
    assert config.classes == create_model(config.name, num_classes=7).classes


def test_the_named_models_are_what_the_published_sizes_give(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    for attention, name in (("external_attention", "keras_eanet"), ("self_attention", "keras_vit")):
        build_example(attention).save_weights(path)
        imported, named = import_keras(path), create_model(name)
        assert imported.num_parameters == named.num_parameters
        assert imported.state_dict().keys() == named.state_dict().keys()
        assert str(imported) == str(named)


def test_blocks_beyond_the_tenth_keep_their_order(tmp_path: Path) -> None:
    """`dense_10` comes before `dense_9` in a file, which is sorted by name."""
    path = tmp_path / "network.weights.h5"
    for attention in ("external_attention", "self_attention"):
        network = build_example(attention, **(SMALL | {"depth": 12}))
        network.save_weights(path)
        images = torch.rand(2, 3, 12, 12)
        with torch.no_grad():
            expected = network(images.permute(0, 2, 3, 1), training=False)
            actual = import_keras(path)(images).softmax(-1)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_classes_can_be_named(example: Any, tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    example.save_weights(path)
    names = ["apple", "bear", "cup", "dog", "elm", "fox", "girl"]
    assert import_keras(path, classes=names).classes == tuple(names)
    with pytest.raises(EanetError, match="the model has 7 classes, but 2 are named"):
        import_keras(path, classes=names[:2])


def other_network(last_layers: list[Any]) -> Any:
    inputs = layers.Input((4,))
    x = inputs
    for layer in last_layers:
        x = layer(x)
    return keras.Model(inputs, x)


def test_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    for network in (
        other_network([layers.Dense(3), layers.Dense(3)]),
        other_network([layers.Normalization(), layers.LayerNormalization(), layers.Dense(3)]),
        keras.Sequential([build_example("external_attention", **SMALL), layers.Dense(3)]),
    ):
        network.save_weights(path)
        with pytest.raises(EanetError, match="does not hold a network of the Keras example"):
            import_keras(path)


def test_an_example_with_layers_added_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "more.weights.h5"
    example = build_example("self_attention", **SMALL)
    keras.Model(example.inputs, layers.Dense(3)(example.outputs[0])).save_weights(path)
    with pytest.raises(EanetError, match="does not hold a network of the Keras example"):
        import_keras(path)
    batch_norm = layers.BatchNormalization()(example.outputs[0])
    keras.Model(example.inputs, batch_norm).save_weights(path)
    with pytest.raises(EanetError, match="does not hold a network of the Keras example"):
        import_keras(path)


def test_an_unreadable_file_is_refused_in_one_line(example: Any, tmp_path: Path) -> None:
    missing = tmp_path / "missing.keras"
    with pytest.raises(EanetError, match=r"no such file: .*missing\.keras"):
        import_keras(missing)
    text = tmp_path / "text.weights.h5"
    text.write_text("no weights")
    archive = tmp_path / "empty.keras"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("config.json", "{}")
    whole = tmp_path / "whole.weights.h5"
    example.save_weights(whole)
    cut = tmp_path / "cut.weights.h5"
    shutil.copy(whole, cut)
    with cut.open("r+b") as file:
        file.truncate(whole.stat().st_size // 2)
    for path in (text, archive, cut, tmp_path):
        with pytest.raises(EanetError, match=r"is not a readable file of Keras 3|no such file"):
            import_keras(path)


def test_without_h5py_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(EanetError, match="needs h5py: pip install h5py"):
        import_keras(tmp_path / "network.keras")
