from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eanet.metrics.intervals import (
    difference_interval,
    interval_of,
    note_of_few,
    note_of_guess,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_that_of_wilson(correct: int, images: int, low: float, high: float) -> None:
    """Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I."""
    assert wilson_interval(correct, images) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(images - correct, images)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_images_of_a_patient_that_are_wrong_together_tell_little_more_than_one() -> None:
    patients = np.repeat(np.arange(20), 5)
    right = patients < 15
    low, high = interval_of(right, patients)
    assert (low, high) == pytest.approx(wilson_interval(15, 20), abs=0.01)
    assert interval_of(right) == wilson_interval(75, 100)
    assert interval_of(right, np.arange(100)) == wilson_interval(75, 100)


def test_groups_that_are_all_right_count_once_each() -> None:
    patients = np.repeat(np.arange(20), 5)
    every = np.full(100, True)
    assert interval_of(every, patients) == wilson_interval(20, 20)
    assert interval_of(~every, patients) == wilson_interval(0, 20)
    few = every.copy()
    few[:1] = False  # one mistake says hardly more of how much the images of a patient agree
    assert interval_of(few, patients)[0] < 0.9


@pytest.mark.parametrize("right", [0, 50, 70, 100])
def test_images_of_one_patient_count_as_one(right: int) -> None:
    found = interval_of(np.arange(100) < right, np.zeros(100, np.int64))
    assert found == pytest.approx(wilson_interval(right / 100, 1))


def test_groups_that_differ_by_chance_alone_cost_little() -> None:
    random = np.random.default_rng(0)
    right, patients = random.random(1000) < 0.8, np.repeat(np.arange(100), 10)
    usual = wilson_interval(right.sum(), 1000)
    assert np.ptp(usual) <= np.ptp(interval_of(right, patients)) < 1.2 * np.ptp(usual)
    # As many of each: that two patients are alike may be chance, that twenty are is none.
    wide, narrow = (interval_of(np.arange(100) % 5 > 0, np.arange(100) // n) for n in (50, 5))
    assert np.ptp(wide) > 0.7
    assert np.ptp(narrow) < 0.2


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("count", [3, 10, 20, 100])
@pytest.mark.parametrize("agreement", [0.1, 0.3, 1])
def test_the_interval_of_groups_of_any_size_holds_the_truth(
    share: float, count: int, agreement: float
) -> None:
    random, trials, held = np.random.default_rng(count), 200, 0
    shape = 1 / agreement - 1  # of the distribution over groups; 0: all or none of one are right
    for _ in range(trials):
        sizes = random.geometric(0.1, count)
        of_group = (
            random.beta(share * shape, (1 - share) * shape, count)
            if shape
            else random.random(count) < share
        )
        groups = np.repeat(np.arange(count), sizes)
        low, high = interval_of(random.random(len(groups)) < of_group[groups], groups)
        held += low <= share <= high
    assert held / trials > 0.85  # some cases are a little below 95 %


@pytest.mark.parametrize("images", [1, 3, 20, 359])
def test_the_interval_of_all_or_none_ends_there(images: int) -> None:
    assert wilson_interval(0, images)[0] == 0
    assert wilson_interval(images, images)[1] == 1


def test_what_is_not_shown_to_beat_guessing_is_said() -> None:
    assert note_of_guess({"top1": 0.95, "top1_low": 0.9, "majority_baseline": 0.89}) == ""
    note = note_of_guess({"top1": 0.95, "top1_low": 0.9, "majority_baseline": 0.9})
    assert note == "; top-1 is not shown to be better"


def evaluated(right: int, images: int, **more: int) -> dict[str, float | int]:
    low, high = wilson_interval(right, images)
    return {"images": images, "top1_low": low, "top1_high": high, **more}


def test_people_are_told_of_few_images_alone() -> None:
    assert note_of_few(evaluated(7000, 10_000)) is None
    note = note_of_few(evaluated(37, 49))
    assert note == "49 images are few: on others like them, expect a top-1 anywhere from 62% to 85%"
    assert str(note_of_few(evaluated(1, 1))).startswith("1 image is few")


def test_people_are_told_of_few_groups() -> None:
    """Or a thousand images of two patients would be called few without a reason."""
    assert "49 images in 2 groups are few" in str(note_of_few(evaluated(37, 49, groups=2)))
    assert "49 images in 1 group are few" in str(note_of_few(evaluated(37, 49, groups=1)))


@given(st.integers(20, 400), st.integers(0, 3))
def test_the_interval_of_a_difference_holds_it_and_turns_with_it(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    first, other = random.random((2, count)) < np.array([[0.8], [0.6]])
    low, high = difference_interval(first, other)
    assert -1 <= low < first.mean() - other.mean() < high <= 1
    assert difference_interval(other, first) == pytest.approx((-high, -low))


def test_the_interval_of_a_difference_is_newcombe_s() -> None:
    """Method 10 for 21 pairs of which 1, 1, 7 and 12 are ++, +-, -+ and --: his worked example."""
    first = np.repeat([True, True, False, False], [1, 1, 7, 12])
    other = np.repeat([True, False, True, False], [1, 1, 7, 12])
    assert difference_interval(first, other) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_the_interval_of_a_difference_counts_groups() -> None:
    random = np.random.default_rng(0)
    first, other = random.random((2, 100)) < np.array([[0.8], [0.6]])
    usual = difference_interval(first, other)
    assert difference_interval(first, other, np.arange(100)) == pytest.approx(usual, abs=0.01)
    fourfold = [np.repeat(right, 4) for right in (first, other)]
    found = difference_interval(*fourfold, np.repeat(np.arange(100), 4))
    assert found == pytest.approx(usual, abs=0.01), "four copies of an image tell no more than one"
    assert np.ptp(difference_interval(*fourfold)) < 0.6 * np.ptp(usual)


def test_answers_that_nearly_always_agree_differ_by_little() -> None:
    """The interval of two independent networks would be ten times as wide."""
    first = np.arange(10_000) < 7_400
    other = first.copy()
    other[:40] = False
    low, high = difference_interval(first, other)
    error = 1.96 * math.sqrt(40) / 10_000  # of 40 images that changed
    assert (low, high) == pytest.approx((0.004 - error, 0.004 + error), abs=0.3 * error)
    same = difference_interval(first, first)
    assert same[0] < 0 < same[1], "none of 10,000 changed, but one of the next might"
    assert same[1] < 0.002
