from __future__ import annotations

import numpy as np

from eanet.config import DataSettings
from eanet.data.held_out import complete_splits
from eanet.data.imageset import ImageSet
from eanet.data.overview import find_duplicates
from eanet.data.splits import SourceSplits


def image_set(*levels: int) -> ImageSet:
    images = np.stack([np.full((2, 2, 3), level, np.uint8) for level in levels])
    return ImageSet(images, np.arange(len(levels)) % 2, ("a", "b"))


def test_same_pixels_are_grouped_within_and_across_splits():
    sets = {"train": image_set(1, 2, 1, 3), "test": image_set(4, 3, 1, 5)}
    assert find_duplicates(sets) == [
        [("train", 0), ("train", 2), ("test", 2)],
        [("train", 3), ("test", 1)],
    ]


def test_one_other_pixel_makes_another_image():
    images = image_set(1, 1)
    images.images[1, 1, 1, 2] += 1
    assert find_duplicates({"train": images}) == []


def test_training_is_told_how_many_images_it_will_know_by_heart():
    own = SourceSplits(image_set(1, 2, 3, 4), image_set(1, 9), image_set(8, 4, 4, 7))
    finding, *_ = complete_splits("x", own, DataSettings()).findings
    assert finding.text == (
        "1 of the 2 validation images and 2 of the 4 test images have the same pixels as training "
        "images, which inflates the result"
    )
    own = SourceSplits(image_set(1, 1), image_set(8), image_set(8))
    (finding,) = complete_splits("x", own, DataSettings()).findings
    assert "inflates the result" not in finding.text, "copies among training images alone"
