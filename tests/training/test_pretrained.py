"""Runs that begin with the weights of a trained model."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import eanet
from eanet import Classifier, EanetError, create_model, load_model, save_model
from eanet.config import PlannedSettings, TrainSettings
from eanet.data.registry import Default
from eanet.models import adapt_model
from eanet.training.launch import launch
from eanet.training.plan import Plan, plan
from eanet.training.prepare import open_inputs
from eanet.training.pretrained import Pretrained, load_weights
from eanet.training.resume import resume
from eanet.training.run_directory import CHECKPOINT
from tests.support.trainings import interrupt_after_an_epoch

MODEL = "eanet_nano:dim=16,depth=1"
CLASSES = ("ant", "bee", "wasp")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 16 x 16 pixels that has seen nothing."""
    torch.manual_seed(7)
    model = create_model(
        MODEL, classes=CLASSES, image_size=16, normalization=((1, 2, 3), (4, 5, 6)), dropout=0.5
    )
    return save_model(model, tmp_path_factory.mktemp("small"))


def planned(where: Path | str, **given: object) -> Plan:
    inputs = open_inputs(TrainSettings.with_recipe(init=where, **given))
    defaults = [Default("model", "vit", "of no use"), Default("recipe", "default", "short")]
    return plan(inputs.settings, inputs.source, defaults, inputs.init)


def settled(where: Path | str, **given: object) -> PlannedSettings:
    return planned(where, **given).settings


def begun(where: Path, **given: object) -> Classifier:
    torch.manual_seed(0)
    model = create_model(MODEL, **{"classes": CLASSES, "image_size": 16, **given})
    load_weights(model, Pretrained.load(where))
    return model.eval()


def pixels(size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(0))


# The model


def test_a_model_of_the_same_classes_begins_as_the_trained_one(small: Path) -> None:
    assert torch.equal(begun(small)(pixels()), load_model(small)(pixels()))


@pytest.mark.parametrize("names", [("wasp", "ant", "bee"), ("bee", "ant")])
def test_known_classes_keep_their_part_of_the_head_by_name(
    small: Path, names: tuple[str, ...]
) -> None:
    expected = load_model(small)(pixels())[:, [CLASSES.index(name) for name in names]]
    torch.testing.assert_close(begun(small, classes=names)(pixels()), expected)


def test_a_new_class_begins_as_the_mean_of_those_that_are_kept(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, trained = begun(small, classes=("ant", "cat")), load_model(small)
    told = capsys.readouterr().err
    assert "with its head for ant and a new one for cat; 8 x 8 tokens" in told
    own, other = model.state_dict(), trained.state_dict()
    assert [name for name in own if not own[name].equal(other[name])] == [
        "head.weight",
        "head.bias",
    ]
    torch.manual_seed(0)
    fresh = create_model(MODEL, classes=("ant", "cat"), image_size=16)
    assert torch.equal(model.head.weight[0], trained.head.weight[0])
    mean = trained.head.weight.mean(dim=0)
    torch.testing.assert_close(model.head.weight[1], mean + fresh.head.weight[1])
    assert model.normalization.mean.tolist() == [1, 2, 3]


def test_classes_that_a_new_model_forgets_are_named(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = [name for name in CLASSES if name != "ant"]
    begun(small, classes=("ant", "cat"))
    assert f"will not know {', '.join(gone)}, of which there are no" in capsys.readouterr().err
    begun(small, classes=(*CLASSES, "cat"))
    begun(small, classes=("cat", "dog"))  # nothing in common: another task
    assert "will not know" not in capsys.readouterr().err


def test_classes_that_are_all_unknown_have_a_new_head(small: Path) -> None:
    model = begun(small, classes=("cat", "dog"))
    torch.manual_seed(0)
    fresh = create_model(MODEL, classes=("cat", "dog"), image_size=16)
    assert torch.equal(model.head.weight, fresh.head.weight)


def test_at_another_size_positions_are_resampled(small: Path) -> None:
    larger = begun(small, image_size=28, patch_size=2)
    assert torch.equal(
        larger(pixels(28)), adapt_model(load_model(small), image_size=28)(pixels(28))
    )


# The settings


def test_the_architecture_is_that_of_the_trained_model_and_dropout_is_the_runs(
    small: Path,
) -> None:
    settings = settled(small, dropout=0.1)
    assert settings.model == MODEL
    assert settings.dropout == 0.1
    assert settled(small, model="eanet_nano") == settled(small, model=MODEL) == settled(small)
    assert settled(small, model=f"{MODEL},mixing=external") == settled(small)


@pytest.mark.parametrize("model", ["vit", "eanet_nano:depth=2", "eanet_nano:heads=2"])
def test_another_architecture_is_refused(small: Path, model: str) -> None:
    with pytest.raises(EanetError, match=rf"is eanet_nano:\S+, not {model}: leave out --model"):
        settled(small, model=model)


def test_a_token_stands_for_as_many_pixels_as_before(small: Path) -> None:
    assert load_model(small).embedding.patch_size == 2
    assert "patch_size" not in settled(small, image_size=28).model
    assert settled(small, image_size=64).model.endswith(",patch_size=2")


def test_images_are_at_least_as_large_as_the_trained_model_takes_unless_asked(
    small: Path, photos: Path
) -> None:
    assert settled(small, image_size=8).image_size == 8
    assert settled(small, data=str(photos)).image_size == 64
    found = planned(small, data="digits")
    assert found.settings.image_size == 16
    assert found.defaults[-1] == ("image_size", 16, f"what {small} was made for")
    smaller = Default("image_size", 12, "about as large as the images")
    inputs = open_inputs(TrainSettings(init=small))
    recommended = [smaller, Default("recipe", "default", "short")]
    found = plan(inputs.settings, inputs.source, recommended, inputs.init)
    assert found.settings.image_size == 16
    assert [d.value for d in found.defaults if d.setting == "image_size"] == [16]


def test_what_cannot_be_begun_with_is_refused_before_the_data_are_read(
    small: Path, tmp_path: Path
) -> None:
    with pytest.raises(EanetError, match="no such run or model file"):
        launch(TrainSettings.with_recipe(init="./gone", data="gone"))
    save_model(create_model(MODEL, in_channels=1), tmp_path)
    with pytest.raises(EanetError, match="takes 1-channel images, not RGB"):
        settled(tmp_path)
    (tmp_path / "half.safetensors").write_bytes(small.read_bytes()[:1000])
    with pytest.raises(EanetError, match="is not a readable safetensors file"):
        settled(tmp_path / "half.safetensors")
    assert open_inputs(TrainSettings.with_recipe(init="none")).init is None


# The run


def quick(photos: Path, tmp_path: Path, **given: object) -> TrainSettings:
    options = {"epochs": 2, "precision": "fp32", "compile": "off", "threads": 1, "image_size": 16}
    return TrainSettings.with_recipe(data=str(photos), output=tmp_path, **{**options, **given})


def test_a_run_begins_there_and_says_where(small: Path, photos: Path, tmp_path: Path) -> None:
    run = launch(quick(photos, tmp_path, init=small.parent, learning_rate=1e-12, epochs=1))
    before, after = load_file(small), load_file(run.path / "model.safetensors")
    for name in before:
        if not name.startswith("head.") and ".running_" not in name and "batches" not in name:
            torch.testing.assert_close(after[name], before[name], atol=1e-8, rtol=0)
    config = run.read_config()
    assert config.settings.init == str(small.parent.resolve())
    assert config.init is not None
    assert config.init.sha256 == hashlib.sha256(small.read_bytes()).hexdigest()
    assert run.path.name == "photos-eanet_nano-dim=16-depth=1"


def test_a_run_is_not_called_after_the_patch_size_that_its_weights_need(
    small: Path, photos: Path, tmp_path: Path
) -> None:
    run = launch(quick(photos, tmp_path, init=small, image_size=64, epochs=1))
    assert run.path.name == "photos-eanet_nano-dim=16-depth=1"
    assert run.read_config().resolved.model.endswith(",patch_size=2")
    assert settled(run.path).name == "digits-eanet_nano-dim=16-depth=1"
    assert settled(run.path).model.endswith(",patch_size=2")
    named = settled(run.path, model=f"{MODEL},patch_size=2")
    assert named.name == "digits-eanet_nano-dim=16-depth=1-patch_size=2"


def test_a_resumed_run_needs_the_trained_model_no_more(
    small: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = launch(quick(photos, tmp_path, init=small, name="whole"))
    first = shutil.copy(small, tmp_path / "first.safetensors")
    with monkeypatch.context() as patch:
        interrupt_after_an_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            launch(quick(photos, tmp_path, init=first, name="cut"))
    first.unlink()
    resumed = resume(tmp_path / "cut")
    own, other = (load_file(run.path / "model.safetensors") for run in (whole, resumed))
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_a_run_without_a_state_begins_with_the_same_file_or_not_at_all(
    small: Path, photos: Path, tmp_path: Path
) -> None:
    first = shutil.copy(small, tmp_path / "first.safetensors")
    run = launch(quick(photos, tmp_path, init=first, epochs=1))
    before = load_file(run.path / "model.safetensors")
    for name in (CHECKPOINT, "history.csv", "model.safetensors"):
        (run.path / name).unlink()
    resume(run.path)
    after = load_file(run.path / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    (run.path / CHECKPOINT).unlink()
    rows = (run.path / "history.csv").read_text().splitlines(keepends=True)
    (run.path / "history.csv").write_text("".join([*rows, rows[-1]]))  # two epochs
    with pytest.raises(EanetError, match=r"has no last\.ckpt to go on from: begin a new run"):
        resume(run.path)
    (run.path / "history.csv").write_text("".join(rows))
    save_model(create_model(MODEL, classes=CLASSES, image_size=16), tmp_path)
    (tmp_path / "model.safetensors").replace(first)
    with pytest.raises(EanetError, match=r"is no longer the model that \S+ began with"):
        resume(run.path)


def test_the_path_of_a_result_is_enough(photos: Path, small: Path, tmp_path: Path) -> None:
    shutil.copy(small, tmp_path)
    settings = quick(photos, tmp_path).model_dump(exclude_unset=True, exclude={"data"})
    result = eanet.train(photos, **{**settings, "init": tmp_path, "epochs": 1})
    assert load_model(result.path).config.name == "eanet_nano"
