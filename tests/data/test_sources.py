from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.sources import data_name, load_dataset, locate, sources
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


def test_every_source_has_its_own_name_and_one_line():
    assert [source.name for source in sources()] == ["digits", "cifar10", "cifar100"]
    assert all("\n" not in source.summary for source in sources())


def test_digits_come_with_all_splits_at_the_size_asked_for():
    data = load_dataset("digits", DataSettings(image_size=16))
    assert data.name == "digits"
    for images in (data.train, data.validation, data.test):
        assert images.image_size == 16
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    assert load_dataset("digits", DataSettings(validation_fraction=0)).validation is None


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_loaded_at_its_own_or_the_given_size(kind):
    folder = make_folder(Path("pets"))
    data = load_dataset(kind(folder))
    assert (data.name, data.train.classes) == ("pets", ("cats", "dogs"))
    assert data.train.image_size == 64
    assert load_dataset(kind(folder), DataSettings(image_size=5)).test.image_size == 5


def test_a_name_wins_over_a_folder_unless_a_separator_is_written():
    make_folder(Path("digits"))
    assert len(load_dataset("digits").train.classes) == 10
    assert load_dataset("./digits").train.classes == ("cats", "dogs")


def test_an_archive_of_any_name_gives_a_name_to_write():
    path = Path(os.fsdecode(b"phot\xf6s.zip"))
    path.touch()
    assert data_name(path) == "phot\\xf6s"


def test_a_linked_list_or_archive_is_named_and_placed_as_its_link(tmp_path):
    (tmp_path / "blob").write_bytes(b"")
    (tmp_path / "photos.zip").symlink_to(tmp_path / "blob")
    assert locate(tmp_path / "photos.zip") == str(tmp_path / "photos.zip")
    assert data_name(tmp_path / "photos.zip") == "photos"
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert locate(tmp_path / "link") == str(tmp_path / "folder")


def test_a_typo_names_the_nearest_source_and_says_that_no_folder_exists():
    with pytest.raises(EanetError, match=r"no such file or folder, and .*'cifar10'") as caught:
        load_dataset("cifar-10")
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_a_file_are_told_apart():
    with pytest.raises(EanetError, match="no such file or folder: some/where"):
        load_dataset("some/where")
    Path("list.txt").write_text("x")
    with pytest.raises(EanetError, match=r"list\.txt is neither a folder, a list"):
        load_dataset("list.txt")


def test_the_test_images_depend_on_the_split_seed_alone():
    a, b, c = (load_dataset("digits", DataSettings(split_seed=seed)).test for seed in (0, 0, 1))
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    assert np.array_equal(a.labels, b.labels)
