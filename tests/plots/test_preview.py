from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eanet.config import AugmentSettings
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.plots.preview import plot_preview, summarize_augmentation
from tests.support.pictures import amount, pixels

COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200)]


def plain(count: int, size: int = 16) -> ImageSet:
    """Images of one colour each, of classes that are named after their numbers."""
    images = np.array(COLOURS[:count], dtype=np.uint8).reshape(count, 1, 1, 3)
    names = tuple(f"class {number}" for number in range(max(count, 2)))
    return ImageSet(images.repeat(size, 1).repeat(size, 2), np.arange(count), names)


def test_every_image_is_shown_with_seven_versions_beside_it(tmp_path: Path) -> None:
    picture = pixels(plot_preview(plain(5), AugmentSettings(), tmp_path / "p.png"))
    side = 0.95 * 120
    for colour in COLOURS:
        assert amount(picture, colour) == pytest.approx(8 * side**2, rel=0.03)


def test_the_original_stays_and_its_versions_change(tmp_path: Path) -> None:
    solid = pixels(plot_preview(plain(1), AugmentSettings(), tmp_path / "a.png"))
    both = plain(2)
    mixed = pixels(plot_preview(both, AugmentSettings(mixup=1000.0), tmp_path / "b.png"))
    half = tuple((a + b) // 2 for a, b in zip(*COLOURS[:2], strict=True))
    one = amount(solid, COLOURS[0]) / 8
    assert amount(mixed, COLOURS[0]) == pytest.approx(one, rel=0.03)
    assert amount(mixed, half) > 8 * one  # of 14: Beta(1000, 1000) is close to a half


def test_a_sheet_is_a_pure_function_of_the_seed(tmp_path: Path) -> None:
    settings = AugmentSettings(erasing=1.0, cutmix=1.0)
    files = [
        plot_preview(plain(5), settings, tmp_path / f"{number}.png", seed=seed)
        for number, seed in enumerate((3, 3, 4))
    ]
    same, again, other = (file.read_bytes() for file in files)
    assert same == again
    assert same != other


def test_large_photographs_and_long_names_have_room(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 80, 80, 3), dtype=np.uint8)
    names = ("a name that is longer than the image is wide", "b")
    settings = AugmentSettings(
        flip=True, translate=0.1, min_scale=0.5, rotation=0.1, zoom=0.1, contrast=0.1,
        trivial_augment=True, erasing=0.1, mixup=0.1, cutmix=0.1,
    )  # fmt: skip
    path = plot_preview(
        ImageSet(images, np.arange(9) % 2, names), settings, tmp_path / "p.png", title="photos"
    )
    assert pixels(path).shape[1] < 1100


def test_the_settings_that_are_on_are_named() -> None:
    assert summarize_augmentation(AugmentSettings(flip=False)) == "nothing is changed"
    settings = AugmentSettings(flip=True, min_scale=0.3, zoom=0.25, trivial_augment=True)
    assert summarize_augmentation(settings) == "flip, min_scale 0.3, zoom 0.25, trivial_augment"
    assert summarize_augmentation(AugmentSettings(mixup=1)).startswith("mixup 1; in per cent: ")


def test_without_images_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="no image to draw"):
        plot_preview(plain(2).subset([]), AugmentSettings(), tmp_path / "p.png")
