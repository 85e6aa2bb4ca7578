"""Intervals of cross-validation, and labels that are suspected."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from eanet.metrics.folds import cross_validated_interval, fold_accuracies
from eanet.metrics.intervals import wilson_interval
from eanet.metrics.label_suspects import find_label_suspects


def test_each_fold_has_its_accuracy() -> None:
    right = np.array([True, True, False, False, True])
    rows = fold_accuracies(right, np.array([1, 2, 2, 1, 2]))
    assert [(row.fold, row.images, row.top1) for row in rows] == [(1, 2, 0.5), (2, 3, 2 / 3)]
    assert (rows[1].low, rows[1].high) == wilson_interval(2, 3)


def test_folds_that_agree_leave_the_interval_over_the_images() -> None:
    right, folds = np.tile([True] * 9 + [False], 20), np.repeat([1, 2, 3, 4], 50)
    found = cross_validated_interval(right, folds)
    assert found == pytest.approx(wilson_interval(180, 200))


def test_folds_that_differ_make_it_wider() -> None:
    right = np.concatenate([np.arange(200) < 190, np.arange(200) < 150])
    low, high = cross_validated_interval(right, np.repeat([1, 2], 200))
    assert low < wilson_interval(340, 400)[0] - 0.1
    assert high == 1.0


def test_images_that_stand_or_fall_together_count_as_one() -> None:
    groups, folds = np.repeat(np.arange(40), 10), np.tile(np.repeat([1, 2, 3, 4], 10), 10)
    right = groups % 5 > 0
    alone = cross_validated_interval(right, folds)
    together = cross_validated_interval(right, folds, groups)
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])
    assert together == pytest.approx(wilson_interval(32, 40), abs=0.01)


def test_groups_of_one_size_count_as_many_as_they_are() -> None:
    groups, folds = np.repeat(np.arange(10), 6), np.tile(np.repeat([1, 2], 6), 5)
    assert cross_validated_interval(groups < 8, folds, groups) == wilson_interval(8, 10)


def test_groups_that_are_half_right_each_make_nothing_surer() -> None:
    right, folds = np.tile([True, False], 20), np.repeat([1, 2], 20)
    found = cross_validated_interval(right, folds, np.arange(40) // 2)
    usual = wilson_interval(20, 40)
    assert found == pytest.approx(usual, abs=0.01)
    assert found[0] < usual[0]  # that these twenty agree by chance alone may be chance


def test_trainings_that_differ_have_the_corrected_t_interval() -> None:
    """Of the accuracies alone: each of the three runs was trained on two of three parts."""
    shares = np.array([0.5, 0.6, 0.7])
    right = np.concatenate([np.arange(100) < 100 * share for share in shares])
    expected = scipy.stats.t.interval(0.95, 2, 0.6, shares.std(ddof=1) * (1 / 3 + 1 / 2) ** 0.5)
    found = cross_validated_interval(right, np.repeat([1, 2, 3], 100))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_has_an_interval(share: float) -> None:
    right, folds = np.full(30, bool(share)), np.repeat([1, 2, 3], 10)
    low, high = cross_validated_interval(right, folds, np.arange(30) // 2)
    assert 0 <= low <= share <= high <= 1
    assert high - low > 0.05


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_it_holds_the_truth_in_about_95_of_100_experiments(spread: float) -> None:
    """Folds of 60 images whose trainings differ by ``spread`` in the log odds."""
    random, hits = np.random.default_rng(0), 0
    draws = random.normal(2.0, spread, 4000)
    truth = float((1 / (1 + np.exp(-draws))).mean())
    folds = np.repeat(np.arange(5), 60)
    for _ in range(400):
        chance = 1 / (1 + np.exp(-random.normal(2.0, spread, 5)))
        low, high = cross_validated_interval(random.random(300) < chance[folds], folds)
        hits += low <= truth <= high
    assert hits >= 0.93 * 400


CLASSES = ("ant", "bee", "cat")


def answers(count: int = 300, sure: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model that is mostly right, and the true classes."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    logits = random.normal(size=(count, 3))
    logits[np.arange(count), labels] += sure
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32), labels


def test_swapped_labels_are_found_the_surest_first() -> None:
    probabilities, truth = answers()
    swapped = np.arange(0, 300, 15)  # 20 of 300
    labels = truth.copy()
    labels[swapped] = (truth[swapped] + 1) % 3
    found = find_label_suspects(probabilities, labels, CLASSES)
    indices = [suspect.index for suspect in found]
    assert len(set(indices) & set(swapped.tolist())) >= 12
    assert len(set(indices) - set(swapped.tolist())) <= 5
    first = found[0]
    assert first.index in swapped
    assert (first.label, first.suggested) == (
        CLASSES[labels[first.index]],
        CLASSES[truth[first.index]],
    )
    margins = [s.suggested_probability - s.label_probability for s in found]
    assert margins == sorted(margins, reverse=True)


def test_an_image_that_the_model_answers_with_its_label_is_no_suspect() -> None:
    """Even if its label is not as probable as usual, and another class is."""
    rows = [[0.90, 0.05, 0.05]] * 5 + [[0.35, 0.40, 0.25]] * 5 + [[0.50, 0.45, 0.05]]
    labels = np.array([0] * 5 + [1] * 5 + [0])
    assert find_label_suspects(np.array(rows, np.float32), labels, CLASSES) == ()


def test_nothing_is_suspected_of_a_class_that_no_label_names() -> None:
    probabilities = np.array([[0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.2, 0.6, 0.2]], np.float32)
    assert find_label_suspects(probabilities, np.array([0, 0, 1]), CLASSES) == ()


def test_a_class_that_the_model_is_rarely_sure_of_has_a_low_bar() -> None:
    """An answer of 45 % is confident where the class has 40 % on average, not where it has 90 %."""
    rows = [[0.90, 0.05, 0.05]] * 5 + [[0.35, 0.40, 0.25]] * 5
    unsure = [0.35, 0.45, 0.20]
    probabilities = np.array([*rows, unsure], np.float32)
    labels = np.array([0] * 5 + [1] * 5 + [0])
    (suspect,) = find_label_suspects(probabilities, labels, CLASSES)
    assert (suspect.index, suspect.suggested) == (10, "bee")
    turned = np.array([*rows, [0.45, 0.35, 0.20]], np.float32)
    assert find_label_suspects(turned, np.array([0] * 5 + [1] * 6), CLASSES) == ()
