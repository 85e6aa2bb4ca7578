from __future__ import annotations

import os
import tarfile

import pytest

from eanet.config import DataSettings
from eanet.data import published
from eanet.data.datasets import cifar
from eanet.data.datasets.cifar import load_cifar10, load_cifar100
from eanet.errors import EanetError
from tests.support.cifar import members10, members100, pack


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "cifar-100-python.tar.gz"


@pytest.fixture(autouse=True)
def nothing_is_downloaded(monkeypatch):
    monkeypatch.setattr(published, "download", lambda *_: pytest.fail("downloaded"))


def load(path):
    return load_cifar100(DataSettings(data_dir=path))


def test_the_archive_its_folder_and_the_variable_all_find_the_images(
    archive, tmp_path, monkeypatch
):
    pack(archive, "cifar-100-python", members100(), monkeypatch)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out")
    places = (archive, tmp_path, tmp_path / "out", tmp_path / "out" / "cifar-100-python")
    found = [load(place) for place in places]
    monkeypatch.setenv("EANET_DATA_DIR", str(tmp_path))
    found.append(load(None))
    assert len({splits.train.fingerprint() for splits in found}) == 1
    assert len({splits.test.fingerprint() for splits in found}) == 1


def test_channels_rows_columns_labels_and_names_are_in_their_places(archive, monkeypatch):
    splits = load(pack(archive, "cifar-100-python", members100(), monkeypatch))
    images = splits.train.images
    assert images.shape == (20, 32, 32, 3)
    assert images.flags.c_contiguous
    assert images[7, 3, 5].tolist() == [5, 3, 7]
    assert splits.train.labels.tolist() == [0, 1] * 10
    assert splits.train.classes == ("apple", "bee")
    assert len(splits.test) == 4
    assert splits.validation is None


def test_cifar10_joins_its_batches_in_order(tmp_path, monkeypatch):
    pack(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", members10(), monkeypatch)
    splits = load_cifar10(DataSettings(data_dir=tmp_path))
    expected = [10 * n + i for n in range(1, 6) for i in range(4)]
    assert splits.train.images[:, 0, 0, 2].tolist() == expected
    assert splits.train.classes == ("airplane", "bird")
    assert len(splits.test) == 4


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
@pytest.mark.parametrize("member", ["meta", "train", "test"])
def test_no_pickle_but_the_official_ones_is_opened(archive, tmp_path, monkeypatch, member, packed):
    monkeypatch.chdir(tmp_path)
    members = members100()
    pack(archive, "cifar-100-python", members, monkeypatch)
    pack(archive, "cifar-100-python", {**members, member: {b"extra": Attack()}})
    where = archive
    if not packed:
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path)
        where = tmp_path / "cifar-100-python"
    with pytest.raises(EanetError, match=f"{member} is not the official file.*move it") as caught:
        load(where)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "attacked").exists()


def test_an_incomplete_archive_is_one_clear_line(archive, monkeypatch):
    members = {name: content for name, content in members100().items() if name != "train"}
    pack(archive, "cifar-100-python", members, monkeypatch)
    with pytest.raises(EanetError, match="lacks train: it is not a whole"):
        load(archive)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(archive, monkeypatch):
    monkeypatch.setattr(cifar, "MOST_BYTES", 1 << 20)
    pack(archive, "other", {"more": b"\0" * (1 << 21), **members100()})
    with pytest.raises(EanetError, match="it unpacks to more than 1,048,576 bytes"):
        load(archive)


@pytest.mark.parametrize("cut", [-20, 200, 1])
def test_a_truncated_archive_is_called_damaged(archive, monkeypatch, cut):
    data = pack(archive, "cifar-100-python", members100(), monkeypatch).read_bytes()
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
        return pack(destination, "cifar-100-python", members100(), monkeypatch)

    monkeypatch.setattr(published, "download", fake)
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
