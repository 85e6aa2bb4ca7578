from __future__ import annotations

import gc
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.format import open_memmap

from eanet.data import imageset
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError


@st.composite
def image_sets(draw, min_images=1):
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, size = draw(st.integers(min_images, 12)), draw(st.integers(1, 6))
    classes = tuple(draw(st.lists(st.text(), min_size=1, max_size=5, unique=True)))
    top = draw(st.sampled_from([1, 2, 256]))  # all black, black and nearly black, any
    return ImageSet(
        random.integers(0, top, (count, size, size, 3), dtype=np.uint8),
        random.integers(0, len(classes), count),
        classes,
    )


def small_set(count=4, size=2):
    images = np.arange(count * size * size * 3).reshape(count, size, size, 3).astype(np.uint8)
    return ImageSet(images, np.arange(count) % 2, ("a", "b"))


@given(image_sets(), st.data())
def test_a_subset_holds_the_chosen_images_in_their_order(images, data):
    indices = data.draw(st.lists(st.integers(0, len(images) - 1), max_size=20))
    part = images.subset(indices)
    assert len(part) == len(indices)
    for i, index in enumerate(indices):
        assert np.array_equal(part.images[i], images.images[index])
        assert part.labels[i] == images.labels[index]
    assert part.classes == images.classes
    counted = [list(part.labels).count(label) for label in range(len(images.classes))]
    assert part.counts().tolist() == counted


@given(image_sets(), st.integers(1, 400))
@settings(max_examples=60)
def test_mean_and_std_are_those_of_numpy_whatever_the_chunks(images, chunk_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imageset, "CHUNK_BYTES", chunk_bytes)
        mean, std = images.mean_std()
    pixels = images.images.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-9, atol=1e-9)


@given(image_sets(), st.data())
@settings(max_examples=60)
def test_the_fingerprint_changes_with_any_pixel_label_or_class_name(images, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imageset, "CHUNK_BYTES", data.draw(st.integers(1, 400)))
        again = replace(images, images=images.images.copy()).fingerprint()
    assert again == images.fingerprint()

    pixels = images.images.copy()
    pixels.flat[data.draw(st.integers(0, pixels.size - 1))] ^= 1
    wider = (*images.classes, "".join(images.classes) + "!")
    labels = images.labels.copy()
    labels[data.draw(st.integers(0, len(labels) - 1))] += 1
    others = [
        replace(images, images=pixels),
        replace(images, classes=wider),
        replace(images, classes=wider, labels=labels % len(wider)),
    ]
    assert len({again, *(other.fingerprint() for other in others)}) == 4


def test_the_fingerprint_tells_the_same_bytes_in_another_shape():
    flat = np.zeros(48, dtype=np.uint8)
    many = ImageSet(flat.reshape(16, 1, 1, 3), np.zeros(16, dtype=np.int64), ("a",))
    few = ImageSet(flat.reshape(4, 2, 2, 3), np.zeros(4, dtype=np.int64), ("a",))
    assert many.fingerprint() != few.fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 2, 2, 3))}, "uint8"),
        ({"images": np.zeros((4, 2, 3, 3), np.uint8)}, "size, size, 3"),
        ({"images": np.zeros((4, 2, 2, 1), np.uint8)}, "size, size, 3"),
        ({"images": np.zeros((4, 12), np.uint8)}, "size, size, 3"),
        ({"labels": np.zeros(3, np.int64)}, "one for each image"),
        ({"labels": np.zeros(4, np.int32)}, "int64"),
        ({"labels": np.array([0, 1, 2, 0])}, r"0\.\.1, not 0\.\.2"),
        ({"labels": np.array([0, 1, -1, 0])}, r"0\.\.1, not -1\.\.1"),
        ({"classes": ()}, "class names"),
        ({"classes": ("a", "a")}, "differ"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(EanetError, match=message):
        replace(small_set(), **change)


def test_an_empty_set_has_counts_but_no_mean():
    empty = small_set().subset([])
    assert len(empty) == 0
    assert empty.counts().tolist() == [0, 0]
    assert empty.fingerprint() != small_set().fingerprint()
    with pytest.raises(EanetError, match="empty"):
        empty.mean_std()


def test_resizing_to_the_same_size_changes_nothing_and_shrinking_averages():
    images = small_set()
    assert images.resized(2) is images
    tiny = images.resized(1)
    assert tiny.image_size == 1
    assert np.array_equal(tiny.labels, images.labels)
    np.testing.assert_allclose(
        tiny.images[:, 0, 0], images.images.reshape(4, 4, 3).mean(axis=1), atol=1
    )


def test_a_large_part_of_a_memory_map_stays_on_disk_and_leaves_no_file(tmp_path, monkeypatch):
    images = small_set(count=50)
    stored = open_memmap(tmp_path / "x.npy", "w+", np.uint8, images.images.shape)
    stored[:] = images.images
    mapped = replace(images, images=stored)
    indices = [7, 3, 3, 41]

    assert type(mapped.subset(indices).images) is np.ndarray
    monkeypatch.setattr(imageset, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(imageset, "CHUNK_BYTES", 30)
    part = mapped.subset(indices)
    gc.collect()
    assert isinstance(part.images, np.memmap)
    assert np.array_equal(part.images, images.images[indices])
    assert part.subset([1]).fingerprint() == images.subset([3]).fingerprint()
    assert os.listdir(tmp_path) == ["x.npy"]  # noqa: PTH208
    assert len(mapped.subset([])) == 0


def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    stored = open_memmap(tmp_path / "x.npy", "w+", np.uint8, (4, 2, 2, 3))
    monkeypatch.setattr(imageset, "IN_MEMORY_BYTES", 0)

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(imageset.tempfile, "TemporaryFile", full)
    with pytest.raises(EanetError, match=r"No space left on device.*EANET_CACHE_DIR"):
        replace(small_set(), images=stored).subset([1])
