from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.decode import Original
from eanet.data.shortcuts import shortcuts
from eanet.data.source import open_source

USUAL = Original(400, 300, "JPEG", "RGB", animated=False, blank=False)
CLASSES = ("cat", "dog", "owl")
NAMES = ("train", "test")


def texts(originals, labels, splits=None):
    labels = np.asarray(labels, np.int64)
    splits = np.zeros_like(labels) if splits is None else np.asarray(splits)
    return [finding.text for finding in shortcuts(originals, labels, CLASSES, splits, NAMES)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "PNG"}, "PNG files"),
        ({"mode": "L"}, "grey"),
        ({"mode": "RGBA"}, "of mode RGBA"),
        ({"width": 1300}, "of 1,300 x 300 pixels"),
    ],
)
def test_a_class_that_its_files_tell_apart_is_named(changes, said):
    labels = [0] * 20 + [1] * 20 + [2] * 20
    originals = [USUAL._replace(**changes) if 20 <= i < 39 or i == 50 else USUAL for i in range(60)]
    assert texts(originals, labels) == [
        f"19 of the 20 images of 'dog' are {said}, 1 of the 40 others"
    ]


def test_a_class_that_lacks_what_the_others_have_is_named():
    labels = [0] * 20 + [1] * 20 + [2] * 20
    kinds = ["PNG"] * 40 + [f"F{i}" for i in range(20)]
    originals = [USUAL._replace(format=kind) for kind in kinds]
    assert texts(originals, labels) == [
        "0 of the 20 images of 'owl' are PNG files, 40 of the 40 others"
    ]


def test_test_images_that_differ_are_named():
    originals = [USUAL] * 40 + [USUAL._replace(mode="L")] * 12
    assert texts(originals, [0, 1] * 26, [0] * 40 + [1] * 12) == [
        "12 of the 12 test images are grey, 0 of the 40 others"
    ]


@pytest.mark.parametrize(
    ("images", "others_have", "others"),
    [(9, 0, 40), (40, 0, 9), (40, 0, 0), (20, 24, 40)],  # too few, none, and too near
)
def test_what_is_not_sure_or_not_much_is_not_told(images, others_have, others):
    png = USUAL._replace(format="PNG")
    originals = [png] * (images + others_have) + [USUAL] * (others - others_have)
    assert texts(originals, [0] * images + [1] * others) == []


def test_few_sizes_by_chance_are_not_told():
    draws = np.random.default_rng(0)
    for _ in range(200):
        originals = [USUAL._replace(width=int(w)) for w in draws.integers(300, 304, 30)]
        assert texts(originals, draws.permutation(np.repeat(range(3), 10))) == []
    assert texts([], []) == []


def test_a_folder_is_told_of_before_training_but_not_for_a_model(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    for name, kind in (("cats", "jpg"), ("dogs", "png")):
        (tmp_path / name).mkdir()
        for i in range(14):
            gradient = Image.linear_gradient("L").rotate(10 * i).resize((16, 16))
            gradient.save(tmp_path / name / f"{i}.{kind}")
    source = open_source(tmp_path)
    findings = source.load_splits(DataSettings(image_size=8)).findings
    (text,) = [finding.text for finding in findings if "files" in finding.text]
    assert text == "14 of the 14 images of 'cats' are JPEG files, 0 of the 14 others"
