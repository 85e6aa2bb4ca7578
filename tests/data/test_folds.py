"""Every image is held out once, groups as a whole, classes evenly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eanet.config import DataSettings
from eanet.data.folds import fold_numbers
from eanet.data.held_out import complete_splits
from eanet.data.imageset import ImageSet
from eanet.data.record import ImageRecord
from eanet.data.source import open_source
from eanet.data.splits import SourceSplits
from eanet.errors import EanetError


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80),
    st.integers(2, 7),
    st.integers(0, 2**63),
)
def test_classes_are_spread_evenly(labels: list[int], folds: int, seed: int) -> None:
    classes = np.array(labels, dtype=np.int64)
    numbers = fold_numbers(classes, folds, seed)
    assert np.array_equal(numbers, fold_numbers(classes, folds, seed))
    for label in np.unique(classes):
        own = numbers[classes == label]
        if len(own) == 1:
            assert own.tolist() == [0], "it would be unknown to the run that is asked for it"
        else:
            counts = np.bincount(own, minlength=folds + 1)
            assert counts[0] == 0
            assert np.ptp(counts[1:]) <= 1
    sizes = np.bincount(numbers, minlength=folds + 1)[1:]
    assert np.ptp(sizes) <= 2, "classes do not all begin with the same fold"


def test_groups_stay_whole_and_the_only_one_of_a_class_is_never_held_out() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), (200, 60, 9))
    groups = labels * 100 + random.integers(0, 15, len(labels))
    groups[labels == 2] = 777
    numbers = fold_numbers(labels, 4, 0, groups)
    assert all(len(set(numbers[groups == group])) == 1 for group in set(groups.tolist()))
    assert set(numbers[labels == 2].tolist()) == {0}
    shares = np.bincount(numbers[labels == 0], minlength=5)[1:] / 200
    assert np.abs(shares - 0.25).max() < 0.05
    assert not np.array_equal(numbers, fold_numbers(labels, 4, 1, groups))


def test_groups_of_any_size_fill_the_folds_evenly() -> None:
    groups = np.repeat(np.arange(6), (9, 5, 4, 3, 2, 1))
    for seed in range(8):
        counts = np.bincount(fold_numbers(np.zeros(24, np.int64), 2, seed, groups))
        assert counts.tolist() == [0, 12, 12]


def test_what_is_never_held_out_is_said() -> None:
    images, groups = numbered(20), np.arange(20) // 4
    images.labels[:] = np.arange(20) == 9
    splits = SourceSplits(replace(images, groups=groups))
    for fold in (1, 2, 3):
        data = complete_splits("x", splits, DataSettings(folds=3, fold=fold))
        assert data.train.counts()[1] == 1
        told = "never held out, so that every run learns all classes: 4 of a, b"
        assert told in data.notes[0]


def test_a_class_in_one_group_stays_through_the_splits_for_test_and_validation() -> None:
    images, groups = numbered(160), np.arange(160) // 8
    for seed in range(20):
        images.labels[:] = groups == seed
        images.labels[seed * 8 : seed * 8 + 5] = 0
        splits = SourceSplits(replace(images, groups=groups))
        data = complete_splits("x", splits, DataSettings(split_seed=seed))
        assert data.train.counts()[1] == 3


def numbered(count: int, first: int = 0) -> ImageSet:
    """Two classes; the pixels of an image are its number."""
    pixels = np.empty((count, 1, 1, 3), np.uint8)
    pixels[:] = (np.arange(count) + first)[:, None, None, None]
    return ImageSet(pixels, np.arange(count) % 2, ("a", "b"))


def numbers(images: ImageSet | None) -> set[int]:
    return set() if images is None else set(images.images[:, 0, 0, 0].tolist())


def test_the_folds_of_a_data_set_hold_out_each_image_once() -> None:
    own = SourceSplits(numbered(40), test=numbered(6, 100))
    held_out: list[int] = []
    for fold in (1, 2, 3):
        data = complete_splits("x", own, DataSettings(folds=3, fold=fold))
        assert data.notes[0].startswith(f"fold {fold} of 3: ")
        assert data.notes[0].endswith("; the 6 test images are left out")
        sets = [numbers(s) for s in (data.train, data.validation, data.test)]
        assert sum(map(len, sets)) == 40
        assert set.union(*sets) == set(range(40))
        held_out += sets[2]
    assert sorted(held_out) == list(range(40))


def test_validation_images_of_the_data_set_choose_the_epoch_in_every_fold() -> None:
    own = SourceSplits(numbered(20), validation=numbered(6, 100))
    data = complete_splits("x", own, DataSettings(folds=2, fold=1))
    assert (len(data.train), numbers(data.validation)) == (10, set(range(100, 106)))
    own = replace(own, test=numbered(6, 200))
    data = complete_splits("x", own, DataSettings(folds=2, fold=1, split_seed=1))
    assert not [note for note in data.notes if "not used" in note], "the seed draws the fold"


def test_every_class_is_spread_evenly_even_if_folds_are_not_equally_full_then() -> None:
    """A group of five leaves one fold fuller; the class after it is not to make up for that."""
    labels, groups = np.repeat([0, 1], (6, 4)), np.array([*[0] * 5, *range(1, 6)])
    numbers = fold_numbers(labels, 2, 0, groups)
    assert np.bincount(numbers[labels == 1]).tolist() == [0, 2, 2]


def test_folds_do_not_test_what_the_start_remembers() -> None:
    images = numbered(20)
    start = ImageRecord.of({"train": images.subset(range(3))})
    with pytest.raises(EanetError, match=r"has seen 3 of these 20 images.*or --init none"):
        complete_splits("x", SourceSplits(images), DataSettings(folds=2, fold=1), start)
    tested = ImageRecord.of({"test": images})
    complete_splits("x", SourceSplits(images), DataSettings(folds=2, fold=1), tested)
    train, test = images.subset(range(16)), images.subset(range(16, 20))
    own = SourceSplits(train, None, test)  # images of a test that folds leave out may be seen
    seen = ImageRecord.of({"train": test})
    data = complete_splits("x", own, DataSettings(folds=2, fold=1), seen)
    assert len(data.test) == 8


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"folds": 5}, "folds=5: fold, 1 to 5, says which is held out"),
        ({"fold": 2}, "fold=2: of how many folds"),
        ({"folds": 3, "fold": 4}, "fold=4: there are 3 folds"),
        ({"folds": 30, "fold": 1}, "folds=30: there are images.* for 20 folds alone"),
    ],
)
def test_folds_that_cannot_be_are_one_line(options: dict[str, int], reason: str) -> None:
    with pytest.raises(EanetError, match=reason):
        complete_splits("x", SourceSplits(numbered(20)), DataSettings(**options))


@pytest.mark.parametrize("folds", ["1", "101", "many"])
def test_the_number_of_folds_has_bounds(folds: str, refused: Callable, photos: Path) -> None:
    code, line = refused("train", photos, "--folds", folds)
    assert code == 2
    assert line.startswith(f"folds={folds}: ")


def test_one_fold_of_a_folder_is_loaded_by_name(photos: Path) -> None:
    data = open_source(photos).load(DataSettings(folds=3, fold=3, image_size=8))
    assert data.test.counts().tolist() == [4, 4, 4]
