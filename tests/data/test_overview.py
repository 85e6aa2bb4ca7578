from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.imageset import ImageSet
from eanet.data.overview import Overview
from eanet.data.source import open_source
from eanet.data.splits import SourceSplits


@pytest.fixture
def overview(tmp_path, monkeypatch) -> Overview:
    """Of a folder with one damaged image and copies in the same class, another one and split."""
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    originals = [random.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(9)]
    for place, number in [
        *((f"train/cats/{i}.png", i) for i in range(4)),
        ("train/cats/copy.bmp", 0),
        *((f"train/dogs/{i}.png", i) for i in (4, 5)),
        ("train/dogs/cat.png", 1),
        ("test/cats/2.png", 2),
        ("test/dogs/6.png", 6),
    ]:
        path = tmp_path / "pets" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(originals[number]).save(path)
    Image.new("L", (10, 40)).save(tmp_path / "pets/train/dogs/tall.png")
    (tmp_path / "pets/train/dogs/bad.jpg").write_text("text")
    return Overview("pets", open_source(tmp_path / "pets").load_splits(DataSettings(image_size=16)))


def test_counts_and_sizes_are_those_of_the_files(overview):
    assert {split: counts.tolist() for split, counts in overview.counts.items()} == {
        "train": [5, 4],
        "test": [1, 1],
    }
    assert overview.sizes == {"width": (10, 30, 30), "height": (20, 20, 40)}
    assert sorted(set(overview.splits.originals.modes)) == ["L", "RGB"]


def test_problems_are_the_unreadable_then_copies_in_other_splits_classes_and_names(overview):
    assert list(overview.problems()) == [
        ("train/dogs/bad.jpg", "unreadable: not an image"),
        ("test/cats/2.png", "same pixels as train/cats/2.png"),
        ("train/dogs/cat.png", "same pixels as train/cats/1.png, of another class"),
        ("train/cats/copy.bmp", "same pixels as train/cats/0.png"),
    ]


def test_problems_are_written_as_csv(overview, tmp_path):
    file = overview.write_problems(tmp_path / "deep" / "problems.csv")
    with file.open(newline="") as text:
        rows = list(csv.reader(text))
    assert rows == [["image", "problem"], *map(list, overview.problems())]


def test_what_is_no_file_goes_by_its_number():
    images = ImageSet(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1]), ("a", "b"))
    overview = Overview("x", SourceSplits(images))
    assert overview.sizes == {}
    assert list(overview.problems()) == [("train 1", "same pixels as train 0, of another class")]


def test_names_of_files_elsewhere_are_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "lists").mkdir()
    lines = ["path,label"]
    for i in range(4):
        Image.new("L", (5, 5), 9).save(tmp_path / f"{i}.png")
        lines.append(f"../{i}.png,{'ab'[i % 2]}")
    (tmp_path / "lists" / "all.csv").write_text("\n".join(lines))
    splits = open_source(tmp_path / "lists" / "all.csv").load_splits(DataSettings(image_size=4))
    about_all, *others = Overview("x", splits).problems()
    assert about_all == ("all images", str(splits.findings[0]))
    assert {Path(image).parent for image, _ in others} == {tmp_path}
