"""The contract that every registered model keeps."""

from __future__ import annotations

import copy
import inspect
import json
import logging
from dataclasses import FrozenInstanceError

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eanet import Classifier, EanetError, create_model, load_model, save_model
from eanet.model_files.find import CONFIG_FILE, WEIGHTS_FILE
from eanet.models import SelfAttention, models
from eanet.models.weights import model_metadata
from tests.support.settings import blocks

NAMES = [entry.name for entry in models()]
every_model = pytest.mark.parametrize("name", NAMES)

GOLDEN = {
    "eanet_nano": 279_980,
    "eanet_tiny": 357_172,
    "eanet_small": 2_189_700,
    "keras_eanet": 361_380,
    "keras_vit": 623_268,
    "vit": 225_444,
    "keras_mlp": 91_300,
}


def images(batch: int, channels: int = 3, size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (batch, channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@every_model
def test_golden_number_of_parameters(name):
    assert create_model(name).num_parameters == GOLDEN[name]


@every_model
def test_has_a_summary_of_one_line(name):
    summary = next(entry.summary for entry in models() if entry.name == name)
    assert 20 < len(summary) < 100
    assert summary.endswith(".")


@every_model
@pytest.mark.parametrize(
    ("size", "channels", "classes"), [(32, 3, 100), (8, 1, 2), (33, 4, 7), (48, 3, 1)]
)
def test_any_image_size_channels_and_classes(name, size, channels, classes):
    model = create_model(name, image_size=size, in_channels=channels, num_classes=classes)
    logits = model(images(2, channels, size))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@every_model
def test_bytes_and_floats_give_the_same(name):
    model = create_model(name, num_classes=5).eval()
    pixels = images(2)
    torch.testing.assert_close(model(pixels), model(pixels.float()), rtol=0, atol=0)


@every_model
def test_normalisation_is_the_first_operation_and_nowhere_else(name):
    torch.manual_seed(0)
    plain = create_model(name, num_classes=5, normalization=((0, 0, 0), (1, 1, 1))).eval()
    torch.manual_seed(0)
    mean, std = (120.0, 110.0, 100.0), (60.0, 0.0, 70.0)  # a constant channel stays as it is
    model = create_model(name, num_classes=5, normalization=(mean, std)).eval()
    pixels = images(2).float()
    by_hand = torch.stack([(pixels[:, i] - mean[i]) / (std[i] or 1) for i in range(3)], dim=1)
    torch.testing.assert_close(model(pixels), plain(by_hand), atol=1e-5, rtol=1e-4)


@every_model
def test_the_answer_for_an_image_does_not_depend_on_its_batch(name):
    model = create_model(name, num_classes=5).eval()
    pixels = images(4)
    torch.testing.assert_close(model(pixels)[2:3], model(pixels[2:3]), atol=1e-5, rtol=1e-4)


@every_model
def test_every_trainable_parameter_gets_a_gradient(name):
    model = create_model(name, num_classes=5, dropout=0.1).train()
    model(images(2)).logsumexp(1).sum().backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


@every_model
@pytest.mark.parametrize("setting", ["dropout", "drop_path"])
def test_randomness_is_active_in_training_alone(name, setting):
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, **{setting: 0.3})
    pixels = images(4)
    assert not torch.equal(model.train()(pixels), model(pixels))
    assert torch.equal(model.eval()(pixels), model(pixels))


@every_model
def test_the_same_seed_gives_the_same_weights(name):
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in create_model(name).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@every_model
def test_settings_can_be_changed_and_are_saved(name, tmp_path):
    model = create_model(name, num_classes=3, dropout=0.1, **blocks(name, 2))
    assert model.num_parameters < create_model(name, num_classes=3).num_parameters
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.config == model.config
    assert len(loaded.blocks) == 2


@pytest.mark.parametrize("classes", [[3, 7], np.array(["3", "7"]), np.array([3, 7])])
def test_names_and_sizes_may_come_from_numpy(classes, tmp_path):
    model = create_model("vit", depth=1, classes=classes, in_channels=np.int64(3))
    save_model(model, tmp_path)
    assert load_model(tmp_path).config == model.config
    assert load_model(tmp_path, classes=classes).classes == model.classes == ("3", "7")


@every_model
def test_saved_and_loaded_is_the_same_model(name, tmp_path):
    model = create_model(
        name,
        classes=["ant", "bee", "Käfer"],
        image_size=16,
        normalization=((1, 2, 3), (4, 5, 6)),
    ).eval()
    path = save_model(model, tmp_path / "run")
    pixels = images(2, size=16)
    for where in (tmp_path / "run", path, str(path)):
        loaded = load_model(where)
        assert loaded.classes == ("ant", "bee", "Käfer")
        assert not loaded.training
        assert torch.equal(loaded(pixels), model(pixels))
    described = json.loads((tmp_path / "run" / CONFIG_FILE).read_text("utf-8"))
    assert described["name"] == name
    assert described["normalization"] == {"mean": [1, 2, 3], "std": [4, 5, 6]}


# One of each way to build a model.
BUILDS = {getattr(entry.build, "func", entry.build): entry.name for entry in models()}.values()


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.slow
def test_exports_with_any_batch(name):
    model = create_model(name, num_classes=4, image_size=16, **blocks(name, 1)).eval()
    dims = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(model, (images(2, size=16),), dynamic_shapes=dims)
    pixels = images(5, size=16)
    torch.testing.assert_close(program.module()(pixels), model(pixels), atol=1e-5, rtol=1e-4)


def test_training_loops_may_keep_attributes_in_the_configuration(tmp_path):
    """Hugging Face's `Trainer` sets `use_cache`; what the model was built from stays as it is."""
    model = create_model("vit", num_classes=3, depth=1)
    before = create_model("vit", num_classes=3, depth=1).config
    model.config.use_cache = False
    assert copy.deepcopy(model).config.use_cache is False
    assert model.config == before
    assert hash(model.config) == hash(before)
    save_model(model, tmp_path)
    assert "use_cache" not in (tmp_path / CONFIG_FILE).read_text("utf-8")
    assert not hasattr(load_model(tmp_path).config, "use_cache")
    for name in ("image_size", "classes", "settings"):
        with pytest.raises(FrozenInstanceError):
            setattr(model.config, name, None)
    with pytest.raises(FrozenInstanceError):
        del model.config.name


def test_hub_methods_save_and_load(tmp_path):
    model = create_model("vit", num_classes=3, depth=1).eval()
    model.save_pretrained(tmp_path)
    for where in (tmp_path, tmp_path / WEIGHTS_FILE):
        loaded = Classifier.from_pretrained(where, local_files_only=True)
        assert torch.equal(loaded(images(1)), model(images(1)))
    bundled = Classifier.from_pretrained("eanet_tiny_cifar100", num_classes=3, token=False)
    assert (bundled.config.name, len(bundled.classes)) == ("eanet_tiny", 3)
    with pytest.raises(EanetError, match="did you mean 'num_classes'"):
        Classifier.from_pretrained("eanet_tiny_cifar100", num_clases=3)


def test_a_model_on_the_hub_is_loaded_by_its_name(tmp_path, monkeypatch):
    path = save_model(create_model("vit", num_classes=3, depth=1), tmp_path / "hub")
    asked: list[tuple[str, str]] = []
    level = logging.getLogger("huggingface_hub").level

    signature = inspect.signature(huggingface_hub.hf_hub_download)

    def download(repo_id: str, filename: str, **options: object) -> str:
        signature.bind(repo_id, filename, **options)
        asked.append((repo_id, filename))
        assert logging.getLogger("huggingface_hub").level == logging.ERROR
        if repo_id == "someone/else":
            raise OSError("no connection\nand more lines")
        return str(path.parent / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    assert load_model("owner/name").config.name == "vit"
    assert Classifier.from_pretrained("owner/name", revision="main").config.name == "vit"
    assert asked == [("owner/name", WEIGHTS_FILE)] * 2
    with pytest.raises(EanetError, match=r"loading it from the Hub failed \(no connection\)"):
        load_model("someone/else")
    assert logging.getLogger("huggingface_hub").level == level


def test_images_of_another_shape_are_refused():
    model = create_model("vit", depth=1)
    with pytest.raises(ValueError, match=r"takes images \(B, 3, 32, 32\), not \(2, 32, 32, 3\)"):
        model(images(2).permute(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "keras_eane"}, "did you mean 'keras_eanet'"),
        ({"name": "vit", "dept": 3}, "did you mean 'depth'"),
        ({"name": "vit", "num_classes": 0}, "at least one class; pooled_features gives"),
        ({"name": "vit", "classes": []}, "at least one class"),
        ({"name": "vit", "num_classes": 3, "classes": ["a"]}, "but 1 are named"),
        ({"name": "vit", "classes": ["bird", "crane", "crane"]}, "classes: 2 are named 'crane'"),
        ({"name": "vit", "heads": 5}, "heads=5 must divide dim=64"),
        ({"name": "vit", "normalization": ((0,), (1,))}, "3 means"),
        ({"name": "vit", "image_size": (32, 32)}, "images are square, one number will do"),
        ({"name": "vit", "classes": "cat"}, "classes='cat': a list of names"),
        ({"name": "vit", "classes": 5}, "classes=5: a list of names; num_classes is"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(EanetError, match=message):
        create_model(**options)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / WEIGHTS_FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(EanetError, match="not a readable safetensors file"):
        load_model(tmp_path)
    for metadata in (None, {"eanet": "[]"}, {"eanet": '{"name": "vit"}'}):
        save_file({"a": torch.zeros(1)}, tmp_path / WEIGHTS_FILE, metadata)
        with pytest.raises(EanetError, match="not written by eanet"):
            load_model(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / WEIGHTS_FILE, {"eanet": "{"})
    with pytest.raises(EanetError, match="not a readable safetensors file"):
        load_model(tmp_path)
    with pytest.raises(EanetError, match=r"no model\.safetensors in"):
        load_model(tmp_path.parent)
    (tmp_path / "model.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(EanetError, match=r"model\.onnx is an exported file; name the run"):
        load_model(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "newer", [{"name": "eanet_huge"}, {"settings": {"convs": 1}}, {"image_size": "32"}]
)
def test_a_model_of_another_version_is_named(tmp_path, newer):
    model = create_model("vit", depth=1)
    path = save_model(model, str(tmp_path))
    metadata = {"eanet": json.dumps(model_metadata(model) | newer)}
    save_file(model.state_dict(), path, metadata)
    with pytest.raises(EanetError, match=f"^{path} holds a model that this version of eanet can"):
        load_model(tmp_path)
    with pytest.raises(EanetError, match="no such run or model file"):
        load_model(tmp_path / "missing.safetensors")


def test_a_file_of_an_earlier_version_is_named_as_such(tmp_path):
    model = create_model("vit", depth=1)
    state = {k.replace("mlp.fc1", "mlp.0"): v for k, v in model.state_dict().items()}
    save_file(state, tmp_path / WEIGHTS_FILE, {"eanet": json.dumps(model_metadata(model))})
    with pytest.raises(EanetError, match=r"written by an earlier version of eanet.*train or imp"):
        load_model(tmp_path)


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = save_model(create_model("vit", depth=1), tmp_path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file({"a": torch.zeros(1)}, path, metadata)
    with pytest.raises(EanetError, match="do not fit vit"):
        load_model(path)


def test_a_failed_save_leaves_the_earlier_model(tmp_path, monkeypatch):
    model = create_model("vit", depth=1)
    path = save_model(model, tmp_path)
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(EanetError, match="No space left"):
        save_model(create_model("vit", depth=2), tmp_path)
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {WEIGHTS_FILE, CONFIG_FILE}


def test_self_attention_equals_its_definition():
    torch.manual_seed(0)
    layer, x = SelfAttention(12, heads=3, head_dim=5), torch.randn(2, 7, 12)
    q, k, v = (t.reshape(2, 7, 3, 5).transpose(1, 2) for t in layer.qkv(x).chunk(3, dim=-1))
    attention = (q @ k.mT / 5**0.5).softmax(-1)
    expected = layer.output((attention @ v).transpose(1, 2).reshape(2, 7, 15))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="must divide"):
        SelfAttention(12, heads=5)
