from __future__ import annotations

import os
import pickle
import tarfile

import numpy as np
import pytest

from eanet.config import DataSettings
from eanet.data.datasets import cifar
from eanet.data.datasets.cifar import load_cifar10, load_cifar100
from eanet.errors import EanetError
from tests.support.cifar import members10, members100, pack


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "cifar-100-python.tar.gz"


@pytest.fixture(autouse=True)
def nothing_is_downloaded(monkeypatch):
    monkeypatch.setattr(cifar, "download", lambda *_: pytest.fail("downloaded"))


def load(path):
    return load_cifar100(DataSettings(data_dir=path))


def test_the_archive_its_folder_and_the_variable_all_find_the_images(
    archive, tmp_path, monkeypatch
):
    pack(archive, "cifar-100-python", members100())
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out")
    places = (archive, tmp_path, tmp_path / "out", tmp_path / "out" / "cifar-100-python")
    found = [load(place) for place in places]
    monkeypatch.setenv("EANET_DATA_DIR", str(tmp_path))
    found.append(load(None))
    assert len({splits.train.fingerprint() for splits in found}) == 1
    assert len({splits.test.fingerprint() for splits in found}) == 1


def test_channels_rows_columns_labels_and_names_are_in_their_places(archive):
    splits = load(pack(archive, "cifar-100-python", members100()))
    images = splits.train.images
    assert images.shape == (20, 32, 32, 3)
    assert images.flags.c_contiguous
    assert images[7, 3, 5].tolist() == [5, 3, 7]
    assert splits.train.labels.tolist() == [0, 1] * 10
    assert splits.train.classes == ("apple", "bee")
    assert len(splits.test) == 4
    assert splits.validation is None


def test_cifar10_joins_its_batches_in_order(tmp_path):
    pack(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", members10())
    splits = load_cifar10(DataSettings(data_dir=tmp_path))
    expected = [10 * n + i for n in range(1, 6) for i in range(4)]
    assert splits.train.images[:, 0, 0, 2].tolist() == expected
    assert splits.train.classes == ("airplane", "bird")
    assert len(splits.test) == 4


def test_files_that_are_not_the_official_ones_are_noted(archive):
    (note,) = load(pack(archive, "cifar-100-python", members100())).notes
    assert note.startswith("not the official files, by SHA-256: meta, train, test in ")


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("member", ["meta", "train"])
def test_a_pickle_that_would_run_something_is_refused(
    archive, tmp_path, monkeypatch, member, protocol
):
    monkeypatch.chdir(tmp_path)
    content = {b"extra": [Attack()], **members100()[member]}
    members = {**members100(), member: pickle.dumps(content, protocol=protocol)}
    pack(archive, "cifar-100-python", members)
    with pytest.raises(EanetError, match=rf"{member} is refused.* (posix|nt)\.mkdir") as caught:
        load(archive)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": None}, "lacks train"),
        ({"train": {b"data": np.zeros((2, 3072), np.uint8)}}, "train does not hold"),
        ({"train": {b"data": np.zeros((2, 3000), np.uint8), b"fine_labels": [0, 1]}}, "3072"),
        ({"train": {b"data": np.zeros((2, 3072)), b"fine_labels": [0, 1]}}, "uint8"),
        ({"test": {b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0]}}, "test does not"),
        (
            {"test": {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [b"0"]}},
            "test does not",
        ),
        ({"test": {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [2]}}, "below 2"),
        ({"test": {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [2**70]}}, "below 2"),
        ({"meta": {b"names": []}}, "does not list the class names"),
        ({"meta": {b"fine_label_names": ["text"]}}, "does not list the class names"),
        ({"meta": [1]}, "does not hold a dictionary"),
        ({"meta": b"no pickle"}, "meta is refused"),
    ],
)
def test_an_archive_with_other_contents_is_one_clear_line(archive, change, message):
    members = {k: v for k, v in {**members100(), **change}.items() if v is not None}
    pack(archive, "cifar-100-python", members)
    with pytest.raises(EanetError, match=message) as caught:
        load(archive)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [-20, 200, 1])
def test_a_truncated_archive_is_called_damaged(archive, cut):
    data = pack(archive, "cifar-100-python", members100()).read_bytes()
    archive.write_bytes(data[:cut])
    with pytest.raises(EanetError, match="is damaged or not a tar archive"):
        load(archive)


def test_a_file_of_another_kind_is_no_tar_archive(archive):
    archive.write_text("<html>not found</html>")
    with pytest.raises(EanetError, match="is damaged or not a tar archive"):
        load(archive)


def test_what_is_nowhere_is_downloaded_with_its_checksum(archive, tmp_path, monkeypatch):
    def fake(url, destination, sha256):
        assert url == "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
        assert sha256.startswith("85cd44d0")
        return pack(destination, "cifar-100-python", members100())

    monkeypatch.setattr(cifar, "download", fake)
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("EANET_DATA_DIR", raising=False)
    assert len(load(None).train) == 20
    assert archive.is_file()


def test_the_real_cifar100(shared_data):
    splits = load(shared_data)
    train, test = splits.train, splits.test
    assert train.images.shape == (50_000, 32, 32, 3)
    assert test.images.shape == (10_000, 32, 32, 3)
    assert len(train.classes) == 100
    assert (train.classes[0], train.classes[99]) == ("apple", "worm")
    assert set(train.counts()) == {500}
    assert set(test.counts()) == {100}
    assert splits.notes == ()
    assert splits.validation is None
    mean, _ = train.mean_std()
    assert mean == pytest.approx((129.3, 124.1, 112.4), abs=0.05)
