from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t, ttest_1samp, ttest_rel

from eanet.comparison.statistics import difference, mcnemar, over_seeds


def answers(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Of images that both, only the first, only the other, and neither are right on."""
    first = np.repeat([True, True, False, False], counts)
    other = np.repeat([True, False, True, False], counts)
    return first, other


def test_mcnemar_is_the_tail_of_a_fair_coin_over_the_images_one_alone_is_right_on() -> None:
    # Of 10 such images 2 or fewer: (1 + 10 + 45) / 1024, on both sides.
    assert mcnemar(*answers(50, 2, 8, 7)) == pytest.approx(2 * 56 / 1024)
    assert mcnemar(*answers(5, 2, 8, 0)) == mcnemar(*answers(50, 8, 2, 7))
    assert mcnemar(*answers(9, 0, 0, 3)) == 1


def test_one_pair_of_runs_has_no_interval() -> None:
    first, other = answers(50, 2, 8, 40)
    found = difference(first[None], other[None])
    assert (found.mean, found.low, found.high, found.seeds) == (
        pytest.approx(0.06),
        None,
        None,
        1,
    )
    assert not found.is_shown
    assert difference(*(side[None] for side in answers(50, 2, 18, 30))).is_shown


def test_images_of_a_group_that_change_together_count_once() -> None:
    first, other = answers(50, 2, 8, 60)
    by_itself = np.arange(len(first))[::-1]
    assert mcnemar(first, other, by_itself) == mcnemar(first, other)
    groups = np.arange(len(first))
    groups[52:60] = 200  # the 8 that the other alone is right on are of one patient
    assert mcnemar(first, other, groups) == 1  # 1 group against 2
    groups[[0, 50]] = (
        300  # and of these, one is of the same group as an image that both are right on
    )
    assert mcnemar(first, other, groups) == 1


def test_a_network_is_not_better_for_more_groups_if_it_loses_by_images() -> None:
    """One patient gains 30 images and ten lose one each: a sign test would show a loss."""
    gained, lost = answers(100, 0, 30, 0), answers(100, 10, 0, 0)
    first, other = (np.concatenate(sides) for sides in zip(gained, lost, strict=True))
    groups = np.concatenate([np.arange(100), np.full(30, 200), np.arange(300, 410)])
    found = difference(first[None], other[None], groups)
    assert found.mean == pytest.approx(20 / 240)
    assert found.p == 1  # 30 against 10: whichever way that patient falls, it decides


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_groups_could_as_well_have_lost_what_they_gain(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    first, other = random.random((2, 30)) < 0.6
    groups = random.integers(0, count, 30)
    gains = [int(other[groups == k].sum()) - int(first[groups == k].sum()) for k in range(count)]
    signs = np.array(list(itertools.product((-1, 1), repeat=count)))
    share = np.mean(np.abs(signs @ gains) >= abs(sum(gains)))
    assert mcnemar(first, other, groups) == pytest.approx(share)
    assert mcnemar(first, other) == pytest.approx(
        binomtest(int((other & ~first).sum()), int((other ^ first).sum())).pvalue
        if (other ^ first).any()
        else 1
    )


def test_gains_by_group_are_those_of_the_units_that_were_drawn() -> None:
    random = np.random.default_rng(0)
    first, other = random.random((2, 3, 40)) < 0.5
    usual = over_seeds(first, other)
    assert over_seeds(first, other, random.permutation(40)) == usual
    # Each image ten times over is no more evidence than once.
    tenfold = np.repeat(first, 10, axis=1), np.repeat(other, 10, axis=1)
    groups = np.repeat(np.arange(40), 10)
    found, alone = difference(*tenfold, groups), difference(*tenfold)
    assert found.mean == pytest.approx(usual.mean)
    assert found.p == pytest.approx(usual.p)
    assert (found.low, found.high) == pytest.approx((usual.low, usual.high))
    assert (found.groups, alone.groups) == (40, None)
    assert alone.p < usual.p


def test_seeds_that_differ_more_than_images_explain_give_the_paired_t_test() -> None:
    images, gained = 1000, [30, 50, 85, 20]
    first, other = np.zeros((2, 4, images), dtype=bool)
    for seed, count in enumerate(gained):  # no image is harder than another for both seeds
        other[seed, (np.arange(count) + 250 * seed) % images] = True
    found = over_seeds(first, other)
    usual = ttest_rel(other.mean(axis=1), first.mean(axis=1))
    low, high = usual.confidence_interval()
    assert found.p == pytest.approx(usual.pvalue)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.seeds) == (pytest.approx(np.mean(gained) / images), 4)


def test_the_mean_squares_are_those_of_the_two_way_layout() -> None:
    first = np.zeros((2, 4), dtype=bool)
    other = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], dtype=bool)
    # Means 1/2 and 3/4, of images 1 1 1/2 0, of all 5/8. Squares: seeds 2 * 4 / 64 = 1/8;
    # images 2 * (2 * 9 + 1 + 25) / 64 / 3 = 11/24; rest (15/8 - 1/8 - 11/8) / 3 = 1/8.
    found = over_seeds(first, other)
    square = 1 / 8 + 11 / 24 - 1 / 8
    error, freedom = (square / 8) ** 0.5, square**2 / ((1 / 8) ** 2 + (1 / 3) ** 2 / 3)
    assert found.mean == 5 / 8
    assert found.p == pytest.approx(2 * t.sf(5 / 8 / error, freedom))
    assert found.mean - found.low == pytest.approx(t.ppf(0.975, freedom) * error)


def test_seeds_that_agree_by_chance_are_not_certain() -> None:
    first, other = np.zeros((2, 3, 100), dtype=bool)
    other[:, 7] = True  # one image, with every seed
    found = over_seeds(first, other)
    assert found.p > 0.3
    assert found.low < 0 < 0.01 < found.high


def test_the_images_are_as_few_as_they_are() -> None:
    """Seeds that agree wholly leave the t test over the images, of which there are five here."""
    first, other = np.zeros((2, 3, 5), dtype=bool)
    other[:, :4] = True
    usual = ttest_1samp(other[0].astype(float), 0)
    assert over_seeds(first, other).p == pytest.approx(usual.pvalue)


def test_no_interval_reaches_beyond_all_images() -> None:
    first, other = answers(1, 3, 3, 1)
    found = over_seeds(np.stack([first, other]), np.stack([other, first]))
    assert (found.mean, found.low, found.high, found.p) == (0, -1, 1, 1)


def test_the_same_answers_show_nothing() -> None:
    same = np.random.default_rng(0).random((3, 50)) < 0.8
    found = over_seeds(same, same)
    assert (found.mean, found.low, found.high, found.p) == (0, None, None, 1)


def test_one_difference_on_every_image_is_shown_by_as_many_as_there_are() -> None:
    found = over_seeds(np.zeros((2, 10), dtype=bool), np.ones((2, 10), dtype=bool))
    assert (found.mean, found.low, found.high, found.p) == (1, None, None, pytest.approx(2**-9))


def test_one_image_is_no_certainty() -> None:
    found = over_seeds(np.ones((3, 1), dtype=bool), np.zeros((3, 1), dtype=bool))
    assert (found.mean, found.low, found.high, found.p) == (-1, None, None, 1)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("images", [60, 500])
def test_models_of_equal_worth_are_told_apart_in_5_percent_of_trials_at_most(
    seeds: int, images: int
) -> None:
    random = np.random.default_rng(seeds * images)
    trials, shown = 400, 0
    for _ in range(trials):
        ease = random.normal(2, 2, images)

        def run(ease: np.ndarray = ease) -> np.ndarray:
            own = ease + random.normal(0, 1, images) + random.normal(0, 0.3, (seeds, 1))
            return random.random((seeds, images)) < 1 / (1 + np.exp(-own))

        shown += difference(run(), run()).is_shown
    assert shown / trials < 0.08  # 5 % and three standard errors


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 30))
def test_exchanging_the_models_changes_the_sign_alone(seed: int, seeds: int, images: int) -> None:
    one, other = np.random.default_rng(seed).random((2, seeds, images)) < 0.6
    there, back = difference(one, other), difference(other, one)
    assert there.mean == pytest.approx(-back.mean)
    assert there.p == pytest.approx(back.p)
    assert 0 <= there.p <= 1
    if there.low is not None and there.high is not None:
        assert there.low <= there.mean <= there.high
        assert there.low == pytest.approx(-back.high)
