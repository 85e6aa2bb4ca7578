"""Settings that cannot work are refused before the training."""

from __future__ import annotations

import numpy as np
import pytest

from eanet import EanetError, create_model
from eanet.data.imageset import ImageSet
from eanet.data.splits import Dataset
from eanet.training.feasibility import check_feasible
from tests.support.settings import resolved


def dataset(validation: bool = True, size: int = 8) -> Dataset:
    images = ImageSet(np.zeros((4, size, size, 3), np.uint8), np.arange(4) % 2, ("a", "b"))
    return Dataset("greys", images, images if validation else None, images)


FAMILY, VIT = "eanet_nano:dim=16,depth=1", "vit:depth=1"


@pytest.mark.parametrize(
    ("given", "model", "size", "validation", "processes", "reason"),
    [
        ({"batch_size": 1}, FAMILY, 8, True, 1, "batch_size=1: .* use 2 or more"),
        ({"batch_size": 2}, FAMILY, 8, True, 2, "batch_size=2: .* use 4 or more"),
        ({}, FAMILY, 1, True, 1, "image_size=1: .*a single token"),
        ({}, VIT, 2, True, 1, "image_size=2: .*a single token"),
        ({"patience": 3}, FAMILY, 8, False, 1, "patience=3: without validation images"),
        ({"views": 10}, VIT, 8, True, 1, "views=10: mirrored views .*--views 5"),
    ],
)
def test_what_cannot_work_is_one_line(
    given: dict[str, object], model: str, size: int, validation: bool, processes: int, reason: str
) -> None:
    built = create_model(model, num_classes=2, image_size=size)
    with pytest.raises(EanetError, match=reason):
        check_feasible(resolved(**given), dataset(validation, size), built, processes)


@pytest.mark.parametrize(
    ("given", "model", "validation"),
    [
        ({"batch_size": 1}, VIT, True),
        ({"batch_size": 2}, FAMILY, False),
        ({"patience": 1}, VIT, True),
        ({"views": 5}, VIT, True),
        ({"views": 2, "flip": True}, VIT, True),
    ],
)
def test_what_works_is_let_through(given: dict[str, object], model: str, validation: bool) -> None:
    built = create_model(model, num_classes=2, image_size=8)
    check_feasible(resolved(**given), dataset(validation), built)
