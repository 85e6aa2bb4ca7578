"""Images that are not square: cropped, padded or squashed, alike in training and afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eanet
from eanet.config import DataSettings
from eanet.data.decode import decode_image
from eanet.data.fit import choose_fit
from eanet.data.source import open_source
from eanet.data.statistics import ImageStatistics
from eanet.model_files.preprocessing import Preprocessing

pytestmark = pytest.mark.usefixtures("undrawn")

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey strips of 48 x 12 pixels of which only the ends differ: cropped, all look the same."""
    folder = tmp_path_factory.mktemp("data") / "wide"
    for name, colour in (("red", RED), ("blue", BLUE)):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            image = Image.new("RGB", (48, 12), (100 + number, 60, 60))
            image.paste(colour, (0, 0, 6, 12))
            image.save(folder / name / f"{number:02}.png")
    return folder


def strip() -> Image.Image:
    image = Image.new("RGB", (40, 10), RED)
    image.paste(BLUE, (20, 0, 40, 10))
    return image


def test_padding_keeps_the_whole_image_and_its_shape() -> None:
    padded = Preprocessing("pad", fill=(9, 8, 7))
    for image, turned in ((strip(), False), (strip().rotate(90, expand=True), True)):
        pixels = decode_image(image, 40, padded)
        pixels = np.rot90(pixels, -1) if turned else pixels
        assert (pixels[15:25, :20] == RED).all()
        assert (pixels[15:25, 20:] == BLUE).all()
        assert (pixels[:15] == (9, 8, 7)).all()
        assert (pixels[25:] == (9, 8, 7)).all()


def test_squashing_fills_the_square_with_the_whole_image() -> None:
    pixels = decode_image(strip(), 20, Preprocessing("squash"))
    assert (pixels[:, :9] == RED).all()
    assert (pixels[:, 11:] == BLUE).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_a_line_of_one_pixel_and_a_square_are_taken_by_all(fit: str) -> None:
    assert decode_image(Image.new("RGB", (3000, 1), RED), 8, Preprocessing(fit)).shape == (8, 8, 3)
    assert (decode_image(Image.new("RGB", (30, 30), RED), 8, Preprocessing(fit)) == RED).all()


@pytest.mark.parametrize(
    ("shapes", "fit"),
    [
        ([(400, 300), (300, 400), (600, 400)], "crop"),  # photographs
        ([(1920, 1080)], "crop"),
        ([(240, 60)], "pad"),
        ([(60, 240)], "pad"),
        ([(400, 300), (400, 300), (900, 300)], "pad"),  # a third of them panoramas
        ([(400, 300)] * 9 + [(900, 300)], "crop"),
        ([(50, 50)], "crop"),
    ],
)
def test_pictures_of_which_a_crop_would_leave_little_are_padded(
    tmp_path: Path, shapes: list[tuple[int, int]], fit: str
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for number, shape in enumerate(shapes):
            Image.new("L", shape).save(tmp_path / name / f"{number}.png")
    statistics = open_source(tmp_path).statistics()
    assert choose_fit(statistics)[0] == fit
    assert open_source(tmp_path).load_splits(DataSettings(image_size=4)).preprocessing.fit == fit


def test_the_reason_names_the_share() -> None:
    photographs = ImageStatistics(10, 2, 300, 400, cropped=0.25, halved=0.1)
    assert "cuts off 25 %" in choose_fit(photographs)[1]
    wide = ImageStatistics(10, 2, 100, 400, cropped=0.75, halved=0.9)
    assert "at most half of 90 % of the images" in choose_fit(wide)[1]


def test_padding_has_the_mean_colour_of_the_images(wide: Path) -> None:
    splits = open_source(wide).load_splits(DataSettings(image_size=12))
    # An eighth is red in half of the images and blue in the others, the rest is (105.5, 60, 60).
    mean = (0.875 * 105.5 + 0.0625 * 255, 0.875 * 60, 0.875 * 60 + 0.0625 * 255)
    assert splits.preprocessing.fit == "pad"
    assert np.abs(np.array(splits.preprocessing.fill) - mean).max() < 2
    assert (splits.train.images[:, :3] == splits.preprocessing.fill).all()


def test_what_the_settings_say_or_the_model_needs_is_done(wide: Path) -> None:
    source = open_source(wide)
    cropped = source.load_splits(DataSettings(image_size=12, fit="crop"))
    assert cropped.preprocessing == Preprocessing()
    assert np.ptp(cropped.train.images, axis=(1, 2)).max() == 0, "nothing of the ends"
    needed = Preprocessing("pad", fill=(1, 2, 3))
    padded = source.load(DataSettings(image_size=12, fit="crop"), needed)
    assert padded.preprocessing == needed
    assert (padded.test.images[:, 0] == (1, 2, 3)).all()
    again = source.load_splits(DataSettings(image_size=12), Preprocessing("pad", fill=(3, 2, 1)))
    assert (again.train.images[:, 0] == (3, 2, 1)).all(), "not what the cache has of the other"


def test_training_evaluation_prediction_and_a_resumed_run_agree(
    wide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crop = eanet.create_model("eanet_nano:dim=16,depth=1", num_classes=2, image_size=8)
    start = eanet.save_model(crop, tmp_path / "start")
    run = eanet.train(
        wide,
        init=start,
        recipe="default",
        epochs=1,
        compile="off",
        precision="fp32",
        threads=1,
        output=tmp_path,
        image_size=8,
    )
    assert "at most half of 100 % of the images" in capsys.readouterr().err
    assert "fit: pad" in (run.path / "config.yaml").read_text()
    predictor = eanet.load(run.path)
    preprocessing = predictor.model.config.preprocessing
    data = eanet.load_dataset(wide, image_size=8)
    assert preprocessing == data.preprocessing
    assert preprocessing.fit == "pad"
    files = data.test.files
    for file, pixels in zip(files, data.test.images, strict=True):
        assert np.array_equal(decode_image(file, 8, preprocessing), pixels)
        assert np.array_equal(predictor.decode(file), pixels)
    assert eanet.resume(run.path).metrics == run.metrics
    elsewhere = shutil.copytree(wide, tmp_path / "elsewhere")
    own, other = (
        eanet.evaluate(run.path, data=data, split=split, output=tmp_path / "report")
        for data, split in ((wide, "test"), (elsewhere, "train"))
    )
    assert dict(own.metrics) == run.metrics
    for images in (own.images, other.images):
        assert np.array_equal(images.images[0], decode_image(images.files[0], 8, preprocessing))
