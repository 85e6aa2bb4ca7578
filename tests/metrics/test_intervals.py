from __future__ import annotations

import pytest
from scipy.stats import binomtest

from eanet.metrics.intervals import note_of_few, wilson


@pytest.mark.parametrize(
    ("right", "images"), [(0, 1), (1, 1), (37, 49), (0, 20), (20, 20), (9777, 10000)]
)
def test_the_interval_is_that_of_wilson(right: int, images: int) -> None:
    wanted = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert wilson(right, images) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert 0 <= wilson(right, images)[0] <= right / images <= wilson(right, images)[1] <= 1


def test_people_are_told_of_few_images_alone() -> None:
    assert note_of_few(10_000, *wilson(7000, 10_000)) is None
    note = note_of_few(49, *wilson(37, 49))
    assert note == "49 images are few: on others like them, expect a top-1 anywhere from 62% to 85%"
    assert str(note_of_few(1, *wilson(1, 1))).startswith("1 image is few")
