from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eanet.config import DataSettings
from eanet.data.copies import copy_findings, find_duplicates
from eanet.data.findings import Finding
from eanet.data.held_out import complete_splits
from eanet.data.imageset import ImageSet
from eanet.data.splits import Dataset, SourceSplits


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


def twice(count: int, size: int) -> SourceSplits:
    """Images of noise, each of them twice; the first two, of one shade, four times."""
    noise = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
    noise[:4] = np.array([0, 0, 255, 255], np.uint8)[:, None, None, None]
    images = np.concatenate([noise, noise])
    return SourceSplits(ImageSet(images, np.arange(2 * count) % 2, ("a", "b")))


def leaks(data: Dataset) -> list[Finding]:
    return [finding for finding in data.findings if "inflates" in finding.text]


@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("fold", [None, 1])
def test_copies_of_any_size_stay_on_one_side_with_group_auto(size: int, fold: int | None) -> None:
    folds = None if fold is None else 3
    own = twice(40, size)
    (finding,) = leaks(complete_splits("x", own, DataSettings(folds=folds, fold=fold)))
    assert finding.setting == "group"
    assert "--group auto keeps them on one side of splits that are drawn" in finding.remedy
    data = complete_splits("x", own, DataSettings(folds=folds, fold=fold, group="auto"))
    assert leaks(data) == []
    assert len(data.test) >= 14


def test_copies_in_a_fold_are_avoidable_though_the_data_set_has_test_images() -> None:
    other = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    given = ImageSet(other, np.arange(2), ("a", "b"))
    own = replace(twice(40, 8), validation=given.subset([0]), test=given.subset([1]))
    (finding,) = leaks(complete_splits("x", own, DataSettings(folds=3, fold=1)))
    assert finding.setting == "group"


@pytest.mark.parametrize("group", [None, "auto"])
def test_copies_in_a_test_of_the_data_set_are_told_whoever_groups(group: str | None) -> None:
    copied = twice(40, 8).train
    own = SourceSplits(copied.subset(range(4, 40)), test=copied.subset(range(44, 80)))
    (finding,) = leaks(complete_splits("x", own, DataSettings(group=group)))
    assert finding.text.startswith("32 of the 36 test images have the same pixels")
    assert (finding.setting, finding.remedy) == ("", "`eanet datasets` lists them")


def test_a_copy_is_not_told_as_a_near_duplicate_as_well():
    sets = {"train": image_set(1, 2, 3), "test": image_set(1, 4, 5)}
    same, near = copy_findings(sets, np.array([[0, 3], [1, 4]]), ())
    assert same.text.startswith("1 of the 3 test images have the same pixels as training images")
    assert near.text.startswith("1 of the 3 test images have near-duplicates among the training")


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
