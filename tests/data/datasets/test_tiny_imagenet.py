from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data import published
from eanet.data.datasets.tiny_imagenet import load_tiny_imagenet
from eanet.errors import EanetError
from tests.support.tiny_imagenet import pack


@pytest.fixture(autouse=True)
def nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "download", lambda *_: pytest.fail("downloaded"))


def test_the_archive_its_folder_and_the_variable_all_find_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "out")
    places = (archive, tmp_path, tmp_path / "out", tmp_path / "out" / "tiny-imagenet-200")
    found = [load_tiny_imagenet(DataSettings(data_dir=place)) for place in places]
    monkeypatch.setenv("EANET_DATA_DIR", str(tmp_path))
    found.append(load_tiny_imagenet(DataSettings()))
    assert len({splits.train.fingerprint() for splits in found}) == 1
    assert len({splits.test.fingerprint() for splits in found}) == 1


def test_the_labelled_images_beside_the_training_are_for_testing(tmp_path: Path) -> None:
    pack(tmp_path)
    splits = load_tiny_imagenet(DataSettings(data_dir=tmp_path))
    assert splits.train.classes == ("goldfish", "tabby")
    assert splits.train.counts().tolist() == [10, 10]
    assert splits.train.image_size == 64
    assert splits.validation is None
    assert [file.name for file in splits.test.files] == ["val_8.JPEG", "val_7.JPEG"]
    assert splits.test.labels.tolist() == [0, 1]
    with Image.open(splits.test.files[0]) as image:
        assert np.array_equal(splits.test.images[0], np.asarray(image))
    assert splits.notes == ("ignored 2 files of other kinds (.txt)",)


def test_another_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "tiny-imagenet-200" / "train" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "tiny-imagenet-200" / "train" / name / "x.png")
    with pytest.raises(EanetError, match="is not Tiny ImageNet: it has no labelled train and val"):
        load_tiny_imagenet(DataSettings(data_dir=tmp_path))


def test_what_is_nowhere_is_downloaded_with_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(url: str, destination: Path, sha256: str) -> Path:
        assert url == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
        assert sha256.startswith("6198c8ae")
        return pack(destination.parent)

    monkeypatch.setattr(published, "download", fake)
    assert len(load_tiny_imagenet(DataSettings(data_dir=tmp_path)).train) == 20
