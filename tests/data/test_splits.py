from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eanet.config import DataSettings
from eanet.data.held_out import complete_splits, stratified_split
from eanet.data.imageset import ImageSet
from eanet.data.splits import SourceSplits
from eanet.errors import EanetError


def numbered(labels, first=0):
    """An image set whose pixels are the number of the image."""
    labels = np.asarray(labels, dtype=np.int64)
    images = np.empty((len(labels), 1, 1, 3), dtype=np.uint8)
    images[:] = (np.arange(len(labels)) + first)[:, None, None, None]
    return ImageSet(images, labels, tuple("abcdefgh"[: labels.max() + 1]))


def numbers(images):
    return images.images[:, 0, 0, 0].tolist()


@given(
    st.lists(st.integers(0, 5), max_size=60).map(lambda labels: np.array(labels, dtype=np.int64)),
    st.floats(0, 0.99),
    st.integers(0, 2**63),
)
def test_a_stratified_split_takes_from_every_class_and_loses_nothing(labels, fraction, seed):
    kept, off = stratified_split(labels, fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([kept, off])), np.arange(len(labels)))
    assert np.array_equal(kept, np.sort(kept))
    assert np.array_equal(off, np.sort(off))
    for label in np.unique(labels):
        count = int((labels == label).sum())
        taken = int((labels[off] == label).sum())
        if count == 1 or fraction == 0:
            assert taken == 0
        else:
            assert 1 <= taken <= count - 1
            assert abs(taken - count * fraction) <= 0.5 or taken in (1, count - 1)
    again = stratified_split(labels.copy(), fraction, seed)
    assert np.array_equal(again[1], off)


def test_another_seed_gives_another_split():
    labels = np.repeat(np.arange(4), 25)
    splits = {tuple(stratified_split(labels, 0.2, seed)[1]) for seed in range(5)}
    assert len(splits) == 5


def test_missing_splits_are_made_test_first_and_noted():
    images = numbered(np.repeat([0, 1], 50))
    data = complete_splits("x", SourceSplits(images, notes=("own",)), DataSettings(split_seed=3))
    assert [len(data.train), len(data.validation), len(data.test)] == [72, 8, 20]
    assert data.test.counts().tolist() == [10, 10]
    assert data.validation.counts().tolist() == [4, 4]
    everything = numbers(data.train) + numbers(data.validation) + numbers(data.test)
    assert sorted(everything) == list(range(100))
    assert data.notes == (
        "own",
        "no test images: 20 % of the training images (20) set aside for testing, stratified, "
        "by split seed 3",
        "no validation images: 10 % of the training images (8) set aside for validation, "
        "stratified, by split seed 3",
    )


def test_classes_that_none_is_held_out_of_are_named():
    images = numbered([0] * 20 + [1] * 2 + [2])
    notes = complete_splits("x", SourceSplits(images), DataSettings()).notes
    assert notes[2:] == (
        "no validation images of b, c: there are too few to set one aside",
        "no test images of c: there are too few to set one aside",
    )
    own = SourceSplits(images, images, images.subset([0]))
    assert complete_splits("x", own, DataSettings()).notes == ()


def test_classes_that_are_not_among_the_last_images_are_not_called_too_few():
    own = SourceSplits(numbered(np.repeat([0, 1], 20)), test=numbered([0, 1], 50))
    notes = complete_splits("x", own, DataSettings(validation_split="last")).notes
    assert notes[1:] == (
        "no validation images of a: the last images are of others; --validation-split stratified "
        "takes of each",
    )


def test_the_test_images_do_not_depend_on_the_validation():
    images = SourceSplits(numbered(np.repeat([0, 1], 50)))
    tests = [
        numbers(complete_splits("x", images, DataSettings(validation_fraction=f)).test)
        for f in (0, 0.1, 0.5)
    ]
    assert tests[0] == tests[1] == tests[2]


def test_own_splits_are_kept_as_they_are():
    own = SourceSplits(numbered([0, 1, 1]), numbered([0, 1], 10), numbered([0, 1], 20))
    data = complete_splits("x", own, DataSettings())
    assert (data.train, data.validation, data.test) == (own.train, own.validation, own.test)
    assert data.notes == ()


def test_settings_of_splits_that_the_data_has_already_are_told():
    sets = [numbered([0, 1] * 9, first=first) for first in (0, 20, 40)]
    changed = DataSettings(validation_fraction=0.3, split_seed=1)

    def notes(validation, test):
        return complete_splits("x", SourceSplits(sets[0], validation, test), changed).notes

    (said,) = notes(sets[1], sets[2])
    assert (
        said == "the data has its own validation images: not used: validation_fraction, split_seed"
    )
    drawn, said = notes(sets[1], None)
    assert "by split seed 1" in drawn
    assert said == "the data has its own validation images: not used: validation_fraction"
    assert "by split seed 1" in notes(None, sets[2])[0]
    assert complete_splits("x", SourceSplits(*sets), DataSettings()).notes == ()
    fold = DataSettings(split_seed=1, folds=3, fold=1)  # which the seed draws
    assert "not used" not in str(complete_splits("x", SourceSplits(*sets), fold).notes)


def test_a_validation_fraction_of_nothing_means_no_validation():
    own = SourceSplits(numbered([0, 1, 1]), test=numbered([0, 1], 20))
    data = complete_splits("x", own, DataSettings(validation_fraction=0))
    assert data.validation is None
    assert len(data.train) == 3


def test_the_last_split_takes_the_last_images_in_their_order_as_keras_does():
    own = SourceSplits(numbered(np.arange(23) % 2), test=numbered([0, 1]))
    options = DataSettings(validation_split="last", validation_fraction=0.1)
    data = complete_splits("x", own, options)
    assert numbers(data.train) == list(range(20))  # floor(23 * 0.9)
    assert numbers(data.validation) == [20, 21, 22]
    assert "the last 10 % of the training images (3)" in data.notes[0]


def test_the_last_split_may_not_take_a_whole_class():
    own = SourceSplits(numbered([0] * 10 + [1] * 2), test=numbered([0, 1]))
    with pytest.raises(EanetError, match="'b' without training images; use 'stratified'"):
        complete_splits("x", own, DataSettings(validation_split="last", validation_fraction=0.3))


def test_too_few_images_to_split_is_said():
    with pytest.raises(EanetError, match=r"too few training images \(2\) .* test: .* add images$"):
        complete_splits("x", SourceSplits(numbered([0, 1])), DataSettings())
    tested = SourceSplits(numbered([0, 1]), test=numbered([0, 1]))
    with pytest.raises(EanetError, match=r"validation: .* or use --validation-fraction 0$"):
        complete_splits("x", tested, DataSettings())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"validation_fraction": -0.1}, "validation_fraction"),
        ({"validation_fraction": float("nan")}, "validation_fraction"),
        ({"validation_split": "stratifed"}, "'stratified' or 'last'"),
        ({"split_seed": -1}, "split_seed"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(EanetError, match=message):
        DataSettings.parse(options)


def test_splits_of_a_mapped_set_are_made_on_disk_however_many_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr("eanet.data.imageset.IN_MEMORY_BYTES", 0)
    np.save(tmp_path / "images.npy", numbered([0, 1] * 10).images)
    mapped = ImageSet(
        np.load(tmp_path / "images.npy", mmap_mode="r"), numbered([0, 1] * 10).labels, ("a", "b")
    )
    made = complete_splits("x", SourceSplits(mapped), DataSettings())
    parts = (made.train, made.validation, made.test)
    assert all(isinstance(part.images, np.memmap) for part in parts)
    assert sorted(n for part in parts for n in numbers(part)) == list(range(20))
