"""Deep images: the range that a set uses becomes black to white, in training and afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eanet
from eanet.config import DataSettings
from eanet.data.decode import decode_image
from eanet.data.levels import Depth, used_levels
from eanet.data.source import open_source
from eanet.data.splits import SourceSplits
from eanet.errors import EanetError
from eanet.model_files.preprocessing import Preprocessing


def depth(low: float, high: float, *, is_float: bool = False) -> Depth:
    return Depth(low, low, high, high, is_float)


@pytest.mark.parametrize(
    ("ranges", "levels"),
    [
        ([(0, 200), (3, 255)], (0, 255)),
        ([(9, 1000), (0, 40)], (0, 1023)),
        ([(0, 4095)], (0, 4095)),
        ([(0, 4096)], (0, 16383)),
        ([(0, 20_000)], (0, 65535)),
        ([(0, 70_000), (5, 6)], (0, 70_000)),
        ([(-100, 300)], (-100, 300)),
        ([(7, 7)], (0, 255)),
        ([(-3, -3)], (-3, -2)),
    ],
)
def test_integers_use_the_bits_of_a_camera_or_their_own_range(
    ranges: list[tuple[float, float]], levels: tuple[float, float]
) -> None:
    assert used_levels(depth(*pair) for pair in ranges) == levels


@pytest.mark.parametrize(
    ("ranges", "levels"),
    [
        ([(0, 0.2), (0.5, 1)], (0, 1)),
        ([(-0.8, 0.9)], (-1, 1)),
        ([(0, 1), (0, 254.5)], (0, 255)),
        ([(0, 3000.5)], (0, 4095)),
        ([(0, 16), (1, 9)], (0, 16)),
        ([(0, 63.5)], (0, 63.5)),
        ([(0, 64)], (0, 255)),
        ([(-40.5, 12)], (-40.5, 12)),
    ],
)
def test_floats_use_what_floats_are_scaled_to(
    ranges: list[tuple[float, float]], levels: tuple[float, float]
) -> None:
    assert used_levels(depth(*pair, is_float=True) for pair in ranges) == levels


def test_images_of_eight_bits_have_no_levels() -> None:
    assert used_levels([]) is None


def make(root: Path, bits: int, dtype: type = np.uint16, suffix: str = "png") -> Path:
    """The same pictures, whatever the bits, in files of 16 bits or of floats."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(8):
            picture = random.uniform(0.1, 0.9, (8, 8)) * (2**bits - 1)
            Image.fromarray(picture.astype(dtype)).save(root / name / f"{number}.{suffix}")
    return root


def load(root: Path, **settings: object) -> SourceSplits:
    return open_source(root).load_splits(DataSettings(image_size=8, **settings))


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_look_as_all_of_them(tmp_path: Path, bits: int) -> None:
    whole = load(make(tmp_path / "whole", 16))
    part = load(make(tmp_path / "part", bits))
    assert part.preprocessing.levels == (0, 2**bits - 1)
    difference = part.train.images.astype(int) - whole.train.images
    assert np.abs(difference).max() <= 1
    assert whole.findings == ()
    (finding,) = part.findings
    assert f"({bits} of 16 bits) become black to white: --levels LOW,HIGH sets" in str(finding)


def test_floats_and_wide_integers_are_scaled_by_the_range_of_the_set(tmp_path: Path) -> None:
    floats = load(make(tmp_path / "floats", 12, np.float32, "tif"))
    wide = load(make(tmp_path / "wide", 12, np.int32, "tif"))
    assert floats.preprocessing == wide.preprocessing == Preprocessing(levels=(0, 4095))
    assert np.ptp(floats.train.images) > 190


def test_what_was_found_is_the_model_s_and_one_dark_image_stays_dark(tmp_path: Path) -> None:
    root = make(tmp_path / "own", 12)
    dark = Image.fromarray(np.full((8, 8), 255, np.uint16))
    dark.save(tmp_path / "dark.png")
    preprocessing = eanet.load_dataset(root, image_size=8).preprocessing
    model = eanet.create_model(
        "eanet_nano:dim=16,depth=1", num_classes=2, image_size=8, preprocessing=preprocessing
    )
    eanet.save_model(model, tmp_path / "model")
    seen = eanet.load(tmp_path / "model").decode(tmp_path / "dark.png")
    assert (seen == 16).all(), "not the 255 that it would be by its own range"


def test_levels_that_are_given_are_used_and_said_no_more(tmp_path: Path) -> None:
    root = make(tmp_path / "own", 12)
    splits = load(root, levels="0,65535")
    assert splits.preprocessing.levels == (0, 65535)
    assert splits.train.images.max() <= 15
    assert "few grey levels are left" in str(splits.findings[0])
    for wrong in ("5", "9,3", "a,b", "1,2,3"):
        with pytest.raises(EanetError, match="levels="):
            DataSettings.parse({"levels": wrong})


def test_levels_for_images_of_eight_bits_change_nothing_and_are_told(tmp_path: Path) -> None:
    (finding,) = load(make(tmp_path / "own", 8, np.uint8), levels="0,100").findings
    expected = "no image is deep (16 bits or floats): --levels changes nothing: leave it out"
    assert str(finding) == expected


def test_values_beyond_the_levels_are_told(tmp_path: Path) -> None:
    splits = load(make(tmp_path / "own", 12), levels="0,1000")
    (finding,) = splits.findings
    assert "16 of 16 deep images hold values beyond 0 to 1000, which are clipped" in str(finding)


def test_a_narrow_range_gets_the_levels_that_would_show_it(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            values = random.integers(30_000, 30_400, (8, 8)).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / name / f"{number}.png")
    (finding,) = load(tmp_path).findings
    low, high = str(finding).split("--levels ")[1].split(" ")[0].split(",")
    better = load(tmp_path, levels=f"{low},{high}")
    assert not better.findings
    assert np.ptp(better.train.images[0]) > 200


def test_what_is_not_finite_does_not_widen_the_range(tmp_path: Path) -> None:
    root = make(tmp_path / "own", 8, np.float32, "tif")
    values = np.full((8, 8), 100, np.float32)
    values[0, 0], values[1, 1] = np.nan, np.inf
    Image.fromarray(values).save(root / "a" / "0.tif")
    splits = load(root)
    assert splits.preprocessing.levels == (0, 255)
    assert splits.train.images[0, 5, 5, 0] == 100


def test_large_deep_images_are_converted_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8)
    whole = decode_image(Image.fromarray(values), 8, Preprocessing(levels=(0, 63)))
    monkeypatch.setattr("eanet.data.levels.CHUNK", 20)
    assert np.array_equal(
        decode_image(Image.fromarray(values), 8, Preprocessing(levels=(0, 63))), whole
    )
    assert whole[..., 0].ravel().tolist() == [round(v / 63 * 255) for v in range(64)]
