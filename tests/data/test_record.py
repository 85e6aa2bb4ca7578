"""Which images a run has seen, by the content of their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eanet.config import DataSettings
from eanet.data.held_out import complete_splits
from eanet.data.imageset import ImageSet
from eanet.data.record import CODES, ImageRecord, file_key, image_keys, joined, pick
from eanet.data.splits import SourceSplits
from eanet.errors import EanetError


def numbered(numbers: range, classes: int = 2) -> ImageSet:
    """Images that are known by their number, from files."""
    labels = np.array([number % classes for number in numbers])
    images = np.zeros((len(labels), 2, 2, 3), dtype=np.uint8)
    keys = np.array([8 * number + 5 for number in numbers], dtype=np.uint64)
    names = tuple(f"class {label}" for label in range(classes))
    return ImageSet(images, labels, names, contents=keys)


def numbers(images: ImageSet) -> set[int]:
    return {int(key) // 8 for key in images.contents}


def record(**sets: range) -> ImageRecord:
    return ImageRecord.of({split: numbered(which) for split, which in sets.items()})


def test_an_image_is_known_by_its_content_and_the_split_nearest_to_training(
    tmp_path: Path,
) -> None:
    record(train=range(4), validation=range(3, 6), test=range(5, 8)).write(tmp_path / "i.npy")
    found = ImageRecord.read(tmp_path / "i.npy")
    assert found.splits_of(numbered(range(10))).tolist() == [0, 0, 0, 0, 1, 1, 2, 2, -1, -1]
    both = joined(found, None, record(train=range(7, 9)))
    assert both is not None
    assert both.splits_of(numbered(range(6, 10))).tolist() == [2, 0, 0, -1]
    assert (tmp_path / "i.npy").stat().st_size == 128 + 8 * 10, "8 bytes an image"


def test_an_image_that_lies_in_two_places_is_picked_once() -> None:
    sets = {"train": numbered(range(6)), "test": numbered(range(4, 9))}
    codes = {"train": np.array([0, 0, 0, 0, 2, 2]), "test": np.array([2, 2, 2, 0, -1])}
    codes = {name: own.astype(np.int8) for name, own in codes.items()}
    tested = pick(sets, codes, "test", place="test")
    assert sorted(int(key) // 8 for key in tested.contents) == [4, 5, 6, 8]
    assert numbers(pick(sets, codes, "train", place="train")) == {0, 1, 2, 3, 7}


def test_the_key_is_that_of_the_file_wherever_it_lies_or_of_the_pixels(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    first, second, third = (file_key(tmp_path / name) for name in "abc")
    assert first == second != third
    images = ImageSet(np.array([[[[1, 2, 3]]], [[[1, 2, 3]]], [[[4, 5, 6]]]], np.uint8), *labelled)
    keys = image_keys(images)
    assert keys[0] == keys[1] != keys[2]


labelled = (np.zeros(3, dtype=np.int64), ("a", "b"))


@pytest.mark.parametrize("content", [b"no array", np.zeros(3).tobytes(), b""])
def test_what_is_no_record_is_one_line(tmp_path: Path, content: bytes) -> None:
    assert ImageRecord.read(tmp_path / "gone.npy") is None
    (tmp_path / "bad.npy").write_bytes(content)
    with pytest.raises(EanetError, match="is damaged"):
        ImageRecord.read(tmp_path / "bad.npy")
    np.save(tmp_path / "float.npy", np.zeros(3))
    with pytest.raises(EanetError, match="holds no record of images"):
        ImageRecord.read(tmp_path / "float.npy")


# What a model to begin with has seen


def test_test_images_stay_test_images_and_nothing_that_was_seen_becomes_one() -> None:
    start = record(train=range(40), validation=range(40, 50), test=range(50, 60))
    data = complete_splits("x", SourceSplits(numbered(range(80))), DataSettings(), start)
    tested, validated, trained = map(numbers, (data.test, data.validation, data.train))
    assert set(range(50, 60)) <= tested <= set(range(50, 80))
    assert len(tested) == 10 + 4  # 20 % of the 20 new ones
    assert set(range(40, 50)) <= validated <= set(range(40, 50)) | set(range(60, 80))
    assert set(range(40)) <= trained
    assert tested | validated | trained == set(range(80))
    assert not tested & validated | validated & trained | tested & trained
    assert data.notes[0] == (
        "no test images: 20 % of the images new to the model to begin with (4) set aside for "
        "testing, stratified, by split seed 0; and the 10 that it had for testing"
    )


def test_test_images_of_the_source_that_were_seen_are_left_out() -> None:
    start = record(train=range(4), validation=range(4, 6), test=range(6, 8))
    splits = SourceSplits(numbered(range(20, 40)), numbered(range(3, 9)), numbered(range(2, 10)))
    data = complete_splits("x", splits, DataSettings(), start)
    assert numbers(data.test) == {6, 7, 8, 9}
    assert numbers(data.validation) == {4, 5, 6, 7, 8}
    assert data.notes[:2] == (
        "4 of the 8 test images left out: the model to begin with has seen them",
        "1 of the 6 validation images left out: the model to begin with has seen them",
    )
    seen = SourceSplits(numbered(range(20, 40)), test=numbered(range(4)))
    with pytest.raises(EanetError, match="has seen all 4 test images: add others"):
        complete_splits("x", seen, DataSettings(), start)


def test_new_images_of_a_group_go_where_the_start_had_the_others() -> None:
    splits = SourceSplits(replace(numbered(range(40)), groups=np.arange(40) // 4))
    start = record(train=range(1), test=range(4, 5))
    data = complete_splits("x", splits, DataSettings(), start)
    assert set(range(4)) <= numbers(data.train)
    assert set(range(4, 8)) <= numbers(data.test)


def test_a_class_that_the_start_learned_from_can_be_tested_on_whole() -> None:
    """Of two new groups, the smaller has the only new image of class 1."""
    images, groups = numbered(range(24)), np.arange(24)
    large, small = np.arange(0, 16, 2), np.array([1, 16, 18])
    groups[large], groups[small] = 100, 101
    seen = images.subset(np.setdiff1d(np.arange(24), [*large, *small]))
    data = complete_splits(
        "x",
        SourceSplits(replace(images, groups=groups)),
        DataSettings(validation_fraction=0),
        ImageRecord.of({"train": seen}),
    )
    assert numbers(data.test) == set(small.tolist())


def test_the_last_images_do_not_validate_what_the_start_remembers() -> None:
    last, images = DataSettings(validation_split="last"), numbered(range(40))
    splits = SourceSplits(images, test=numbered(range(50, 60)))
    with pytest.raises(EanetError, match="validate on 3 images that the model to begin with was"):
        complete_splits("x", splits, last, record(train=range(10, 39), validation=range(10)))
    data = complete_splits("x", splits, last, record(train=range(36), validation=range(36, 40)))
    assert numbers(data.validation) == set(range(36, 40))


def test_a_start_that_saw_other_images_changes_nothing() -> None:
    splits = SourceSplits(numbered(range(40)))
    plain = complete_splits("x", splits, DataSettings())
    other = complete_splits("x", splits, DataSettings(), record(train=range(100, 120)))
    assert plain.notes == other.notes
    assert numbers(plain.test) == numbers(other.test)
    assert numbers(plain.train) == numbers(other.train)


def test_if_everything_was_seen_there_is_nothing_to_test_on() -> None:
    start = record(train=range(40))
    with pytest.raises(EanetError, match=r"that the model to begin with has not seen \(0\) to set"):
        complete_splits("x", SourceSplits(numbered(range(40))), DataSettings(), start)


def test_codes_fit_into_the_bits_of_an_entry() -> None:
    assert set(CODES.values()) < set(range(4))
