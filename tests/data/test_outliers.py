from __future__ import annotations

import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.decode import Original, read_image
from eanet.data.outliers import MIN_IMAGES, find_outliers
from eanet.data.overview import Overview
from eanet.data.source import open_source

USUAL = Original(400, 300, "JPEG", "RGB", animated=False, blank=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "GIF"}, "GIF, where nearly all are JPEG"),
        ({"width": 1300}, "1,300 x 300 pixels, over 3 times as long as wide"),
        (
            {"width": 80, "height": 60},
            "80 x 60 pixels, where the shorter side is usually about 300",
        ),
        ({"blank": True}, "a single colour"),
        ({"format": "PNG", "blank": True}, "PNG, where nearly all are JPEG, a single colour"),
    ],
)
def test_one_unlike_the_others_is_found(changes, said):
    images = [USUAL] * MIN_IMAGES
    images[7] = USUAL._replace(**changes)
    assert find_outliers(images) == {7: said}


@pytest.mark.parametrize(
    "changes", [{"height": 133 * 3}, {"width": 900}, {"width": 80, "height": 80}, {"mode": "L"}]
)
def test_what_is_still_usual_is_not_odd(changes):
    assert find_outliers([USUAL] * MIN_IMAGES + [USUAL._replace(**changes)]) == {}


@pytest.mark.parametrize(
    ("usual", "rare", "found"), [(98, 2, 2), (98, 3, 0), (4980, 20, 20), (4980, 21, 0)]
)
def test_what_more_than_a_few_have_is_not_odd(usual, rare, found):
    assert len(find_outliers([USUAL] * usual + [USUAL._replace(format="PNG")] * rare)) == found


def test_among_few_images_nothing_is_odd():
    assert find_outliers([USUAL] * (MIN_IMAGES - 2) + [USUAL._replace(format="GIF")]) == {}
    assert find_outliers([]) == {}


def test_a_photograph_of_a_phone_that_holds_a_second_picture_is_a_jpeg(tmp_path):
    photo = Image.new("RGB", (40, 30))
    photo.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[photo])
    with Image.open(tmp_path / "phone.jpg") as image:
        assert image.format == "MPO"
    _, original = read_image(tmp_path / "phone.jpg", 8)
    assert (original.format, original.animated) == ("JPEG", False)


def test_odd_files_are_noted_before_training_and_listed_in_the_overview(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "pets"
    for split, name, count in (("train", "cats", 12), ("train", "dogs", 12), ("val", "dogs", 3)):
        (root / split / name).mkdir(parents=True)
        for i in range(count):
            gradient = Image.linear_gradient("L").rotate(10 * i)
            gradient.save(root / split / name / f"{i}.jpg")
    Image.new("P", (256, 256), 3).save(root / "val" / "dogs" / "notFound.gif")
    reason = "GIF, where nearly all are JPEG, a single colour"
    for _ in ("read", "from the cache"):
        splits = open_source(root).load_splits(DataSettings(image_size=8))
        (note,) = [note for note in splits.notes if "unlike" in note]
        assert note == f"1 image unlike the others, worth a look: val/dogs/notFound.gif ({reason})"
    problems = list(Overview("pets", splits).problems())
    assert ("val/dogs/notFound.gif", f"unlike the others: {reason}") in problems
