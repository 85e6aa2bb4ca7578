from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data import source as module
from eanet.data.source import open_source
from eanet.data.statistics import ImageStatistics
from eanet.errors import EanetError


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def make_folder(root: Path) -> Path:
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (12, 9), (20 * i, 0, 0)).save(root / name / f"{i}.png")
    return root


def test_digits_come_with_all_splits_at_the_size_asked_for():
    data = open_source("digits").load(DataSettings(image_size=16))
    assert data.name == "digits"
    for images in (data.train, data.validation, data.test):
        assert images.image_size == 16
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    assert open_source("digits").load(DataSettings(validation_fraction=0)).validation is None


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_loaded_at_its_own_or_the_given_size(kind):
    folder = make_folder(Path("pets"))
    data = open_source(kind(folder)).load()
    assert (data.name, data.train.classes) == ("pets", ("cats", "dogs"))
    assert data.train.image_size == 64
    assert open_source(kind(folder)).load(DataSettings(image_size=5)).test.image_size == 5


def test_a_name_wins_over_a_folder_unless_a_separator_is_written():
    make_folder(Path("digits"))
    assert len(open_source("digits").load().train.classes) == 10
    assert open_source("./digits").load().train.classes == ("cats", "dogs")


def test_an_archive_of_any_name_gives_a_name_to_write():
    path = Path(os.fsdecode(b"phot\xf6s.zip"))
    path.touch()
    assert open_source(path).name == "phot\\xf6s"


def test_a_linked_list_or_archive_is_named_and_placed_as_its_link(tmp_path):
    (tmp_path / "blob").write_bytes(b"")
    (tmp_path / "photos.zip").symlink_to(tmp_path / "blob")
    archive = open_source("photos.zip")
    assert (archive.name, archive.path) == ("photos", tmp_path / "photos.zip")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    folder = open_source("link")
    assert (folder.name, folder.path) == ("folder", tmp_path / "folder")


@pytest.mark.parametrize("kind", [str, Path])
def test_own_images_are_found_again_from_any_folder(tmp_path, monkeypatch, kind):
    make_folder(Path("pets"))
    source = open_source(kind("pets"))
    assert (source.name, source.path) == ("pets", tmp_path / "pets")
    assert (source.natural_size, source.defaults) == (64, ())
    monkeypatch.chdir(tmp_path / "pets")
    assert open_source(source.location) == source
    source = pickle.loads(pickle.dumps(source))  # for other processes
    assert source.load(DataSettings(image_size=4)).train.files[0].is_absolute()


def test_a_folder_has_a_name_however_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "some" / "photos").mkdir(parents=True)
    assert open_source("some/photos/").name == "photos"
    assert open_source("/").name == "data"
    monkeypatch.chdir("some")
    assert open_source(".").name == "some"


def test_statistics_are_computed_once_and_of_own_images_alone(monkeypatch):
    calls = []
    real = module.image_statistics
    monkeypatch.setattr(
        module, "image_statistics", lambda layout: calls.append(layout) or real(layout)
    )
    source = open_source(make_folder(Path("pets")))
    assert not calls
    assert source.statistics() == source.statistics() == ImageStatistics(20, 2, 9, 12, 0.25)
    assert len(calls) == 1
    with pytest.raises(ValueError, match="digits has defaults"):
        open_source("digits").statistics()


def test_results_among_the_classes_are_refused(tmp_path):
    source = open_source(make_folder(Path("pets")))
    source.check_outside(tmp_path / "runs", DataSettings())
    with pytest.raises(EanetError, match=r"results in pets/runs would become a class of the image"):
        source.check_outside(Path("pets/runs"), DataSettings())
    open_source("digits").check_outside(Path("digits"), DataSettings())


def test_a_typo_names_the_nearest_source_and_says_that_no_folder_exists():
    with pytest.raises(EanetError, match=r"no such file or folder, and .*'cifar10'") as caught:
        open_source("cifar-10")
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_a_file_are_told_apart():
    with pytest.raises(EanetError, match="no such file or folder: some/where"):
        open_source("some/where")
    Path("list.md").write_text("x")
    with pytest.raises(EanetError, match=r"list\.md is neither a folder, a list"):
        open_source("list.md")


def test_the_test_images_depend_on_the_split_seed_alone():
    a, b, c = (open_source("digits").load(DataSettings(split_seed=seed)).test for seed in (0, 0, 1))
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    assert np.array_equal(a.labels, b.labels)


def test_an_empty_name_is_not_this_folder():
    with pytest.raises(EanetError, match="the name of the data set is empty"):
        open_source("")
