"""Reading the Keras example's networks from files that Keras really saved."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from eanet.errors import EanetError
from eanet.models.keras_import import import_keras
from eanet.models.registry import create_model
from eanet.models.weights import load_model, save_model
from tests.support.keras_example import build_example, keras, layers, randomize

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {
    "image_size": 12,
    "num_classes": 7,
    "patch_size": 3,
    "embedding_dim": 16,
    "mlp_dim": 24,
    "num_transformer_blocks": 3,
    "num_heads": 2,
    "dim_coefficient": 2,
}
SETTINGS = {name: SMALL[name] for name in SMALL if name not in ("image_size", "num_classes")}


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
    without = {name: SETTINGS[name] for name in SETTINGS if name != "dim_coefficient"}
    assert (config.name, config.settings) in [("keras_eanet", SETTINGS), ("keras_vit", without)]
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


SELF_TOO = [
    {},
    {"embedding_dim": 32},
    {"num_heads": 8},
    {"embedding_dim": 24, "mlp_dim": 40, "num_heads": 3, "num_transformer_blocks": 2},
    {"patch_size": 4, "image_size": 30},
]
EXTERNAL = [{"dim_coefficient": 2}, {"dim_coefficient": 1}, {"dim_coefficient": 3, "num_heads": 2}]


@pytest.mark.parametrize(
    ("attention", "name", "settings"),
    [("external_attention", "keras_eanet", settings) for settings in SELF_TOO + EXTERNAL]
    + [("self_attention", "keras_vit", settings) for settings in SELF_TOO],
)
def test_settings_of_the_examples_names_build_the_network_that_keras_builds(
    attention: str, name: str, settings: dict[str, int], tmp_path: Path
) -> None:
    settings = {"num_transformer_blocks": 2} | settings
    network = build_example(attention, **settings)
    randomize(network)
    model = create_model(name, **settings).eval()
    (normalization,) = (x for x in network._flatten_layers() if isinstance(x, layers.Normalization))
    counted = network.count_params() - normalization.count_params()  # which counts its statistics
    assert model.num_parameters == counted
    network.save_weights(tmp_path / "network.weights.h5")
    imported = import_keras(tmp_path / "network.weights.h5", image_size=settings.get("image_size"))
    model.load_state_dict(imported.state_dict())
    size = settings.get("image_size", 32)
    images = torch.randint(0, 256, (2, 3, size, size)).float()
    with torch.no_grad():
        expected = network(images.permute(0, 2, 3, 1), training=False)
        torch.testing.assert_close(model(images).softmax(-1), expected, atol=1e-6, rtol=0)


def test_blocks_beyond_the_tenth_keep_their_order(tmp_path: Path) -> None:
    """`dense_10` comes before `dense_9` in a file, which is sorted by name."""
    path = tmp_path / "network.weights.h5"
    for attention in ("external_attention", "self_attention"):
        network = build_example(attention, **(SMALL | {"num_transformer_blocks": 12}))
        network.save_weights(path)
        images = torch.rand(2, 3, 12, 12)
        with torch.no_grad():
            expected = network(images.permute(0, 2, 3, 1), training=False)
            actual = import_keras(path)(images).softmax(-1)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


UNEVEN = SMALL | {"image_size": 30, "patch_size": 4}


@pytest.mark.parametrize("name", ["network.weights.h5", "network.keras"])
@pytest.mark.parametrize("attention", ["external_attention", "self_attention"])
def test_pixels_beyond_the_last_whole_patch_are_not_seen_as_in_keras(
    attention: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 pixels are 7 patches of 4; only a whole model, not its weights, tells 30 from 28."""
    path, is_model = tmp_path / name, name.endswith(".keras")
    network = build_example(attention, **UNEVEN)
    randomize(network)
    (network.save if is_model else network.save_weights)(path)
    model = import_keras(path, image_size=None if is_model else 30)
    images = torch.randint(0, 256, (3, 3, 30, 30)).float()
    with torch.no_grad():
        expected = network(images.permute(0, 2, 3, 1), training=False)
        torch.testing.assert_close(model(images).softmax(-1), expected, atol=1e-6, rtol=0)
    assert capsys.readouterr().err == ""
    save_model(model, tmp_path / "saved")
    assert torch.equal(load_model(tmp_path / "saved")(images), model(images))


def test_a_size_that_weights_do_not_hold_is_assumed_aloud_or_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.weights.h5"
    build_example("external_attention", **UNEVEN).save_weights(path)
    assert import_keras(path).config.image_size == 28
    assert capsys.readouterr().err == (
        f"{path} does not say the image size: assuming 28 pixels, the least that 7 x 7 patches of "
        "4 need; --image-size (image_size in Python) sets another, up to 31\n"
    )
    for size in (27, 32, 0):
        with pytest.raises(EanetError, match=rf"^image_size={size} does not fit: 7 x 7 patches"):
            import_keras(path, image_size=size)


def test_the_size_in_a_saved_model_is_not_overruled(tmp_path: Path) -> None:
    path = tmp_path / "network.keras"
    build_example("external_attention", **UNEVEN).save(path)
    assert import_keras(path, image_size=30).config.image_size == 30
    with pytest.raises(EanetError, match=r"takes 30 x 30 pixels: leave out image_size=31$"):
        import_keras(path, image_size=31)


def rewritten(path: Path, shape: list[int | None]) -> Path:
    """A copy of a saved model whose configuration declares another shape for its input."""
    copy = path.with_stem("rewritten")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        config = json.loads(old.read("config.json"))
        config["config"]["layers"][0]["config"]["batch_shape"] = shape
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return copy


def test_images_that_are_not_square_are_refused_and_open_sizes_assumed(tmp_path: Path) -> None:
    path = tmp_path / "network.keras"
    build_example("external_attention", **UNEVEN).save(path)
    with pytest.raises(EanetError, match="takes 28 x 31 pixels; models here take square images"):
        import_keras(rewritten(path, [None, 28, 31, 3]))
    assert import_keras(rewritten(path, [None, None, None, 3])).config.image_size == 28


def test_other_slots_and_widths_of_heads_than_the_examples_are_read(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    build_example("external_attention", **SMALL).save_weights(path)
    with h5py.File(path, "r+") as file:
        for block in range(3):
            keys, values = (file[f"layers/dense_{6 * block + i}/vars"] for i in (1, 2))
            replace(keys, np.zeros((8, 5)), np.zeros(5))
            replace(values, np.zeros((5, 8)))
    assert import_keras(path).config.settings == SETTINGS | {"slots": 5}
    build_example("self_attention", **SMALL).save_weights(path)
    with h5py.File(path, "r+") as file:
        for attention in ("", "_1", "_2"):
            for part in ("query", "key", "value", "output"):
                variables = file[f"layers/multi_head_attention{attention}/{part}_dense/vars"]
                if part == "output":
                    replace(variables, np.zeros((2, 5, 16)))
                else:
                    replace(variables, np.zeros((16, 2, 5)), np.zeros((2, 5)))
    assert import_keras(path).config.settings["key_dim"] == 5


def replace(variables: Any, *values: Any) -> None:
    """The first variables of a layer in a file, by others of any shape."""
    for i, value in enumerate(values):
        del variables[str(i)]
        variables[str(i)] = value


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
