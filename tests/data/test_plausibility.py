"""What all images of a set share is questioned: each finding has the option that changes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.held_out import complete_splits
from eanet.data.imageset import ImageSet
from eanet.data.plausibility import with_findings
from eanet.data.source import open_source
from eanet.data.splits import SourceSplits


def images(counts: tuple[int, ...], pixels: np.ndarray | None = None) -> ImageSet:
    if pixels is None:
        size = (sum(counts), 8, 8, 3)
        pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    return ImageSet(pixels, labels, tuple("abcdef"[: len(counts)]))


def found(splits: SourceSplits) -> list[str]:
    return [str(finding) for finding in with_findings(splits).findings]


@pytest.mark.parametrize(("counts", "is_told"), [((20, 14), False), ((20, 13), True)])
def test_unequal_classes_are_told_with_what_guessing_reaches(
    counts: tuple[int, int], is_told: bool
) -> None:
    told = found(SourceSplits(images(counts)))
    assert bool(told) == is_told
    if is_told:
        assert (
            "20 of 'a', 13 of 'b' training images; always guessing 'a' is right for 60.6%"
            in told[0]
        )
        assert "--balance loss" in told[0]


@pytest.mark.parametrize(
    ("classes", "is_told"),
    [
        (("car", "car person", "person"), True),
        (("car", "car; person", "person"), True),
        (("car", "fire truck", "fire truck|car"), True),
        (("car", "police car", "person"), False),
        (("bora", "bora bora", "car,"), False),
    ],
)
def test_names_of_several_classes_in_one_are_told(classes: tuple[str, ...], is_told: bool) -> None:
    told = found(SourceSplits(replace(images((10, 10, 10)), classes=classes)))
    joined = max(classes, key=len)
    about = f"classes named after several others: {joined!r}: an image has one class here"
    assert [line.startswith(about) for line in told] == [True] * is_told


def test_pictures_of_nearly_one_shade_are_told_and_others_are_not() -> None:
    dark = np.random.default_rng(0).integers(0, 16, (20, 8, 8, 3), dtype=np.uint8)
    (told,) = found(SourceSplits(images((10, 10), dark)))
    assert "the median image spans 16 of 256" in told
    assert "convert colour files of 16 bits" in told
    drawn = np.zeros((20, 8, 8, 3), np.uint8)
    drawn[:, 2:4, 2] = 255  # thin strokes on black
    assert found(SourceSplits(images((10, 10), drawn))) == []


def test_files_with_an_unused_fourth_channel_show_their_colours(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number, suffix in enumerate(("tga", "png", "tif")):
            pixels = random.integers(0, 256, (8, 8, 4), dtype=np.uint8)
            pixels[..., 3] = 0
            Image.fromarray(pixels, "RGBA").save(tmp_path / name / f"{number}.{suffix}")
    splits = open_source(tmp_path).load_splits(DataSettings(image_size=8))
    assert np.array_equal(splits.train.images[-1], pixels[..., :3])
    (finding,) = splits.findings
    assert str(finding).startswith("6 of 6 images are fully transparent: their colours are used")


def test_a_set_of_blank_images_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGB", (8, 8), (number, 9, 9)).save(tmp_path / name / f"{number}.png")
    splits = open_source(tmp_path).load_splits(DataSettings(image_size=8))
    (finding,) = splits.findings
    assert str(finding).startswith("6 images are of a single colour")


def test_copies_across_splits_and_classes_are_told_with_their_number() -> None:
    train, test = images((10, 10)), images((2, 2))
    pixels = 255 - test.images
    pixels[0], pixels[3] = train.images[5], train.images[6]  # the second is of the other class
    splits = SourceSplits(train, None, replace(test, images=pixels))
    dataset = complete_splits("x", splits, DataSettings(validation_fraction=0))
    copied, torn = (str(finding) for finding in dataset.findings)
    assert copied.startswith("2 of the 4 test images have the same pixels as training images")
    assert torn.startswith("2 images have the same pixels as one of another class")
