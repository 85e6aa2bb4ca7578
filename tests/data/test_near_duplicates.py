"""Near-duplicates are found whatever the exposure, and what only looks alike is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data import near_duplicates as module
from eanet.data.imageset import ImageSet
from eanet.data.near_duplicates import near_duplicates
from eanet.data.overview import Overview
from eanet.data.source import open_source


def picture(seed: int, size: int = 32) -> np.ndarray:
    """A random landscape of blobs, (size, size, 3), between 0 and 1."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    large = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(large) / 255


def exposed(pixels: np.ndarray, factor: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.01, pixels.shape)
    return np.uint8((pixels * factor + noise).clip(0, 1) * 255)


def image_set(images: list[np.ndarray], classes: int = 2) -> ImageSet:
    labels = np.arange(len(images)) % classes
    return ImageSet(np.stack(images), labels.astype(np.int64), tuple("abcdef"[:classes]))


def pairs(*sets: ImageSet) -> list[tuple[int, int]]:
    return [(int(one), int(other)) for one, other in near_duplicates(sets)]


OTHERS = [exposed(picture(seed), 0.9, seed) for seed in range(100, 160)]


def test_the_same_picture_at_other_exposures_is_found_across_sets() -> None:
    tile = picture(1)
    first = image_set([*OTHERS[:40], exposed(tile, 0.9, 1), exposed(tile, 0.5, 2)])
    second = image_set([exposed(tile, 0.25, 3), *OTHERS[40:]])
    assert pairs(first, second) == [(40, 41), (40, 42), (41, 42)]


def test_a_placeholder_is_paired_with_its_first_alone() -> None:
    copies = [OTHERS[0]] * 500
    found = pairs(image_set([*OTHERS, *copies]))
    assert found == [(0, number) for number in range(60, 560)]


def test_other_pictures_and_blank_ones_are_none() -> None:
    blank = [np.full((32, 32, 3), level, np.uint8) for level in (0, 0, 9, 200)]
    assert pairs(image_set([*OTHERS, *blank])) == []
    assert pairs(image_set(blank)) == []
    assert pairs(image_set(OTHERS[:1])) == []


def test_sets_in_which_all_look_alike_are_none() -> None:
    y, x = np.mgrid[:32, :32] - 15.5
    disc = 1 / (1 + np.exp(np.hypot(y, x) - 11))[..., None]
    plates = [exposed(disc * (0.6 + 0.3 * picture(seed)), 1, seed) for seed in range(80)]
    assert pairs(image_set(plates)) == []
    strokes = [np.uint8(255 * (picture(seed) > 0.75)) for seed in range(80)]
    assert pairs(image_set(strokes)) == []
    digits = open_source("digits").load_splits()
    assert pairs(*digits.sets.values()) == [], "8 x 8 pixels are too few to tell"


def test_the_search_in_blocks_finds_what_comparing_all_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = [exposed(picture(seed // 3), 0.4 + 0.2 * (seed % 3), seed) for seed in range(90)]
    expected = [(i, j) for i in range(90) for j in range(i + 1, 90) if i // 3 == j // 3]
    assert pairs(image_set(images)) == expected
    monkeypatch.setattr(module, "BLOCK", 7)
    assert pairs(image_set(images)) == expected


def test_among_too_many_images_none_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tile = picture(1)
    images = image_set([*OTHERS, exposed(tile, 0.9), exposed(tile, 0.5)])
    assert pairs(images) == [(60, 61)]
    monkeypatch.setattr(module, "MOST_IMAGES", 61)
    assert pairs(images) == []


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 tiles in each of two classes, each at three exposures."""
    root = tmp_path_factory.mktemp("data") / "tiles"
    for name, start in (("a", 0), ("b", 50)):
        (root / name).mkdir(parents=True)
        for tile in range(20):
            for exposure in range(3):
                pixels = exposed(picture(start + tile), 0.4 + 0.2 * exposure, exposure)
                Image.fromarray(pixels).save(root / name / f"tile{tile:02}-{exposure}.png")
    return root


def shared(tiles: Path, **settings: object) -> int:
    """How many tiles are both in the training images and among those held out."""
    data = open_source(tiles).load(DataSettings(image_size=32, **settings))

    def names(images: ImageSet) -> set[str]:
        return {f"{file.parent.name}/{file.stem[:6]}" for file in images.files}

    assert data.validation is not None
    return len(names(data.train) & (names(data.test) | names(data.validation)))


@pytest.mark.parametrize("group", ["auto", r"[ab]/tile\d+", r"^(.*)-\d"])
def test_groups_stay_on_one_side_of_every_split(tiles: Path, group: str) -> None:
    assert shared(tiles) > 15
    assert shared(tiles, group=group) == 0


def test_leaks_are_told_with_the_option_that_ends_them(tiles: Path) -> None:
    source = open_source(tiles)
    data = source.load(DataSettings(image_size=32))
    (finding,) = data.findings
    assert "of the 24 test images have near-duplicates among the training images" in str(finding)
    assert "--group auto keeps them on one side" in str(finding)
    grouped = source.load(DataSettings(image_size=32, group="auto"))
    assert grouped.findings == ()
    assert "in whole groups" in grouped.notes[0]


def test_an_overview_names_each_once(tiles: Path) -> None:
    overview = Overview("tiles", open_source(tiles).load_splits(DataSettings(image_size=32)))
    problems = list(overview.problems())
    assert len(problems) == 2 * 20 * 2
    assert ("a/tile00-1.png", "nearly the same as a/tile00-0.png") in problems
