from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.plots.class_sheet import MOST_CLASSES, plot_classes
from tests.support.pictures import drawn_texts


def image_set(*counts: int, size: int = 8) -> ImageSet:
    """Images whose colour is their class's."""
    labels = np.repeat(np.arange(len(counts)), counts)
    random = np.random.default_rng(0)
    colours = random.integers(0, 200, (len(counts), 3), dtype=np.uint8)
    images = np.broadcast_to(colours[labels][:, None, None], (len(labels), size, size, 3))
    return ImageSet(images.copy(), labels, tuple(f"class {i}" for i in range(len(counts))))


def colours(path) -> set[tuple[int, ...]]:
    with Image.open(path) as picture:
        counts = picture.convert("RGB").getcolors(1 << 24)
    return {colour for count, colour in counts if count > 2_000}


def test_every_class_is_shown_whatever_their_numbers(tmp_path):
    images = image_set(1, 20, 5)
    path = plot_classes(images, tmp_path / "sheet.png", title="Pets")
    assert {tuple(map(int, images.images[i, 0, 0])) for i in (0, 1, -1)} <= colours(path)


def test_many_classes_stand_in_columns_and_no_more_than_a_sheet_takes(tmp_path):
    few = Image.open(plot_classes(image_set(*[1] * 25), tmp_path / "few.png")).size
    many = Image.open(plot_classes(image_set(*[1] * 120), tmp_path / "many.png")).size
    same = Image.open(plot_classes(image_set(*[1] * MOST_CLASSES), tmp_path / "same.png")).size
    assert many[0] > 1.5 * few[0]
    assert abs(many[1] - same[1]) < 0.05 * same[1]


def test_the_number_of_images_stands_behind_a_long_name(tmp_path):
    name = "a name as long as the images of its class stand wide, if drawn as it measures"
    images = ImageSet(image_set(8, size=32).images, np.zeros(8, np.int64), (name,))
    with drawn_texts() as found:
        plot_classes(images, tmp_path / "sheet.png")
    assert found[name].x1 <= found["  8"].x0
    assert found[name].y0 == pytest.approx(found["  8"].y0, abs=1)


def test_the_same_images_are_drawn_again_and_others_by_another_seed(tmp_path):
    random = np.random.default_rng(0)
    images = ImageSet(
        random.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), np.arange(60) % 2, ("a", "b")
    )
    first, again, other = (
        plot_classes(images, tmp_path / f"{i}.png", seed=seed).read_bytes()
        for i, seed in enumerate((0, 0, 1))
    )
    assert first == again != other


def test_nothing_to_draw_is_one_line(tmp_path):
    empty = ImageSet(np.zeros((0, 4, 4, 3), np.uint8), np.zeros(0, np.int64), ("a", "b"))
    with pytest.raises(EanetError, match="no image to draw"):
        plot_classes(empty, tmp_path / "x.png")
