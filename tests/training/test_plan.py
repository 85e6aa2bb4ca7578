"""What a run will be: pure functions of what is given."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from eanet import EanetError, config, create_model
from eanet.config import PlannedSettings, TrainSettings
from eanet.data.imageset import ImageSet
from eanet.data.registry import Default
from eanet.data.source import Source, open_source
from eanet.data.splits import Dataset
from eanet.device import Machine
from eanet.models import models
from eanet.training.defaults import recommend
from eanet.training.plan import plan, resolve
from eanet.training.pretrained import Pretrained

CPU = Machine("cpu", has_bf16=False, has_compiler=True)
DEFAULTS = (Default("model", "vit", "of its time"), Default("recipe", "default", "short"))


def source(**changes: object) -> Source:
    """A source that cannot be read."""

    def load(settings: object) -> None:
        pytest.fail("a plan reads no images")

    return replace(open_source("digits"), _load=load, **changes)


def dataset(images: int = 1000, *, mirrorable: bool = True) -> Dataset:
    pixels = np.zeros((images, 8, 8, 3), np.uint8)
    train = ImageSet(pixels, np.arange(images) % 2, ("a", "b"))
    return Dataset("greys", train, None, train, mirrorable=mirrorable)


def planned(**given: object) -> PlannedSettings:
    settings = TrainSettings.with_recipe(**given)
    return plan(settings, source(), recommend(settings, DEFAULTS, "cpu"), None).settings


def test_what_is_open_is_filled_and_what_is_given_stays() -> None:
    settings = planned(epochs=3, drop_path=0.2)
    assert (settings.model, settings.recipe, settings.image_size) == ("vit", "default", 8)
    assert (settings.epochs, settings.drop_path) == (3, 0.2)
    assert settings.rotation == 0.03  # the recipe's
    settings = planned(image_size=16, model="keras_mlp")
    assert (settings.model, settings.image_size) == ("keras_mlp", 16)
    settings = planned(dropout=0.5, drop_path=0.2, model="vit:dropout=0.1")
    assert (settings.dropout, settings.drop_path) == (0.1, 0.2), "what the model will have"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "digits-vit"),
        ({"model": "vit:depth=2,heads=4"}, "digits-vit-depth=2-heads=4"),
        ({"name": "mine"}, "mine"),
    ],
)
def test_a_run_is_called_after_data_and_model(given: dict[str, str], name: str) -> None:
    assert planned(**given).name == name


def test_a_plan_neither_prints_nor_draws_nor_reads(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    trained = create_model("eanet_nano:dim=16,depth=1", classes=("a", "b"), image_size=16)
    init = Pretrained("somewhere", trained.eval(), "ab" * 32)
    settings = TrainSettings.with_recipe(init="somewhere", image_size=64, recipe="finetune")
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    monkeypatch.setattr(config, "read_text", lambda _: pytest.fail("a recipe is read"))
    found = plan(settings, source(), (), init)
    resolved, _ = resolve(found.settings, dataset(), 1e9, CPU, 2)
    assert resolved.model == "eanet_nano:dim=16,depth=1,patch_size=2"
    assert capfd.readouterr() == ("", "")
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))
    assert (
        plan(settings, source(), (), init),
        resolve(found.settings, dataset(), 1e9, CPU, 2)[0],
    ) == (
        found,
        resolved,
    )


@pytest.mark.parametrize("name", [entry.name for entry in models()])
def test_every_model_continues_with_patches_of_its_own_size(name: str) -> None:
    trained = create_model(name, classes=("a", "b"), image_size=16).eval()
    init = Pretrained("somewhere", trained, "ab" * 32)
    settings = plan(TrainSettings(init="somewhere", image_size=48), source(), DEFAULTS[1:], init)
    model = create_model(settings.settings.model, image_size=48)
    assert model.embedding.patch_size == trained.embedding.patch_size


def test_the_images_and_the_machine_settle_the_rest() -> None:
    resolved, why = resolve(planned(compile="off"), dataset(mirrorable=False), 1e20, CPU, 2)
    assert (resolved.batch_size, resolved.flip, resolved.threads) == (32, False, 2)
    assert (resolved.device, resolved.precision, resolved.compile) == ("cpu", "fp32", "off")
    assert why == "as set"
    native = replace(CPU, has_bf16=True)
    resolved, why = resolve(planned(batch_size=5000), dataset(), 1e20, native, 2)
    assert (resolved.batch_size, resolved.flip, resolved.precision) == (1000, True, "bf16")
    assert resolved.compile == "on"
    assert "enough to pay" in why


def test_a_resolved_run_resolves_to_itself() -> None:
    resolved, _ = resolve(planned(learning_rate=0.1), dataset(), 1e20, CPU, 2)
    assert resolve(resolved, dataset(), 1e20, CPU, 2)[0] == resolved


def test_a_rate_yet_to_be_found_is_the_default_until_then() -> None:
    resolved, _ = resolve(planned(learning_rate="find"), dataset(), 0, CPU, 2)
    assert resolved.learning_rate == 1e-3


def test_compiling_that_is_not_possible_is_refused() -> None:
    without = replace(CPU, has_compiler=False)
    with pytest.raises(EanetError, match="use --compile off"):
        resolve(planned(compile="on"), dataset(), 0, without, 2)
