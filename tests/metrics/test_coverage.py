from __future__ import annotations

import math

import numpy as np

from eanet.metrics.coverage import accuracy_by_coverage, answered_above

CERTAINTY = np.array([0.9, 0.5, 0.7, 0.7], np.float32)
CORRECT = np.array([True, False, True, False])


def test_accuracy_is_that_of_the_most_certain_and_equal_ones_go_together() -> None:
    coverage, accuracy = accuracy_by_coverage(CERTAINTY, CORRECT)
    np.testing.assert_allclose(coverage, [1 / 4, 3 / 4, 1])
    np.testing.assert_allclose(accuracy, [1, 2 / 3, 2 / 4])


def test_thresholds_leave_what_is_at_least_as_probable() -> None:
    rows = answered_above(CERTAINTY, CORRECT, (0.5, 0.7, 0.95))
    assert [row.images for row in rows] == [4, 3, 0]
    assert rows[1].coverage == 3 / 4
    assert rows[1].low < rows[1].accuracy == 2 / 3 < rows[1].high
    assert math.isnan(rows[2].accuracy)
