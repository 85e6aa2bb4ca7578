"""What every named data set must fulfil; a new one needs a row in MINIATURES."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eanet import create_model
from eanet.config import DataSettings, TrainSettings
from eanet.data.datasets import named_datasets
from eanet.data.source import open_source
from tests.support import tiny_imagenet
from tests.support.cifar import members10, members100, pack

# Makes a folder to load the data set from, which a monkeypatch makes official; None: needs none.
MINIATURES: dict[str, Callable[[Path, pytest.MonkeyPatch], object] | None] = {
    "digits": None,
    "cifar10": lambda folder, patch: pack(
        folder / "cifar-10-python.tar.gz", "cifar-10-batches-py", members10(), patch
    ),
    "cifar100": lambda folder, patch: pack(
        folder / "cifar-100-python.tar.gz", "cifar-100-python", members100(), patch
    ),
    "tiny-imagenet": lambda folder, _: tiny_imagenet.pack(folder),
}

every_dataset = pytest.mark.parametrize("name", list(named_datasets()))


def test_those_of_the_smallest_images_come_first() -> None:
    sizes = [dataset.image_size for dataset in named_datasets().values()]
    assert sizes == sorted(sizes)
    assert next(iter(named_datasets())) == "digits"


@every_dataset
def test_it_is_named_and_summarised_in_one_line(name: str) -> None:
    dataset = named_datasets()[name]
    assert dataset.name == name == name.strip().lower()
    assert 10 < len(dataset.summary) < 80
    assert "\n" not in dataset.summary


@every_dataset
def test_it_is_opened_by_its_name_and_opened_again_by_its_location(name: str) -> None:
    source = open_source(name)
    assert (source.name, source.path) == (name, None)
    assert open_source(source.location) == source


@every_dataset
def test_its_defaults_name_a_model_and_a_recipe_that_suit_it(name: str) -> None:
    source = open_source(name)
    defaults = {setting: value for setting, value, _ in source.defaults}
    assert all(len(reason) > 10 for *_, reason in source.defaults)
    assert {"model", "recipe"} <= defaults.keys()
    TrainSettings.with_recipe(data=name, **defaults)
    create_model(str(defaults["model"]), num_classes=2, image_size=source.natural_size)


@every_dataset
def test_its_images_come_with_all_splits_at_its_own_size_or_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if make := MINIATURES[name]:
        make(tmp_path, monkeypatch)
    source = open_source(name)
    dataset = source.load(DataSettings(data_dir=tmp_path))
    assert dataset.name == name
    assert dataset.validation is not None
    for images in (dataset.train, dataset.validation, dataset.test):
        assert len(images) > 0
        assert images.image_size == source.natural_size
        assert images.classes == dataset.train.classes
    assert dataset.train.counts().min() > 0
    assert source.load(DataSettings(data_dir=tmp_path, image_size=12)).test.image_size == 12
