from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn.metrics import classification_report

from eanet.metrics.classes import ClassFigures, class_figures, macro_averages
from eanet.metrics.intervals import wilson_interval


def test_figures_by_hand() -> None:
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    figures = class_figures(labels, predicted, ["ant", "bee", "cat"])
    ant, bee, cat = (wilson_interval(*counts) for counts in ((2, 3), (1, 2), (0, 1)))
    assert figures[0] == ClassFigures("ant", 3, 2 / 4, 2 / 3, pytest.approx(4 / 7), *ant)
    assert figures[1] == ClassFigures("bee", 2, 1 / 2, 1 / 2, 1 / 2, *bee)
    assert figures[2] == ClassFigures("cat", 1, 0.0, 0.0, 0.0, *cat)
    wanted = (1 / 3, (2 / 3 + 1 / 2) / 3, (4 / 7 + 1 / 2) / 3)
    assert macro_averages(figures) == pytest.approx(wanted)


def test_averages_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 500)
    predicted = np.where(random.random(500) < 0.6, labels, random.integers(0, 7, 500))
    wanted = classification_report(labels, predicted, output_dict=True)["macro avg"]
    found = macro_averages(class_figures(labels, predicted, [str(i) for i in range(7)]))
    assert found == pytest.approx((wanted["precision"], wanted["recall"], wanted["f1-score"]))


def test_a_class_without_images_has_no_recall_and_counts_in_no_average() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = class_figures(np.array([0, 0, 1]), np.array([0, 2, 1]), ["a", "b", "c", "d"])
    assert [row.support for row in figures] == [2, 1, 0, 0]
    assert [row.precision for row in figures] == [1, 1, 0, 0]
    assert [math.isnan(row.recall) for row in figures] == [False, False, True, True]
    assert [math.isnan(row.f1) for row in figures] == [False, False, True, True]
    assert [math.isnan(row.recall_low) for row in figures] == [False, False, True, True]
    assert macro_averages(figures) == pytest.approx((1, 3 / 4, (2 / 3 + 1) / 2))
