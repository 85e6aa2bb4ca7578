"""Entries of the cache that are damaged, or that somebody else has put there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.source import open_source
from eanet.data.splits import SourceSplits


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (80 * i, 0, ord(label))).save(
                tmp_path / "photos" / label / f"{i}.png"
            )
        (tmp_path / "photos" / label / "broken.png").write_bytes(b"x")
    return tmp_path / "photos"


def load(folder: Path) -> SourceSplits:
    return open_source(folder).load_splits(DataSettings(image_size=8))


def entry(pictures: Path) -> Path:
    return next((pictures.parent / "cache" / "entries").glob("*/images.npy")).parent


@pytest.mark.parametrize(
    "details",
    [
        {"originals": [], "skipped": []},
        {"originals": 5, "skipped": []},
        {"originals": [[1, 2]] * 6, "skipped": [[3, "x"], [7, "x"]]},
        {"originals": "keep", "skipped": [[3, "x"], [99, "x"]]},
        {"originals": "keep", "skipped": [[3, "x"], [3, "x"]]},
        {"originals": "keep", "skipped": [[3, 5], [7, None]]},
        {},
        [],
        None,
    ],
    ids=str,
)
def test_details_of_other_files_or_types_are_made_anew(details: object, pictures: Path) -> None:
    first = load(pictures).train
    path = entry(pictures) / "details.json"
    content = json.loads(path.read_text("utf-8"))
    if isinstance(details, dict) and details.get("originals") == "keep":
        details = {**content["details"], "skipped": details["skipped"]}
    path.write_text(json.dumps(content | {"details": details}), "utf-8")
    assert load(pictures).train.fingerprint() == first.fingerprint()
    assert json.loads(path.read_text("utf-8")) == content


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((5, 8, 8, 3), np.uint8),
        np.zeros((6, 8, 8), np.uint8),
        np.zeros((6, 8, 8, 3), np.float32),
        np.array([print] * 6, dtype=object),
    ],
    ids=lambda images: f"{images.dtype} {images.shape}",
)
def test_images_of_another_kind_are_made_anew(images: np.ndarray, pictures: Path) -> None:
    first = load(pictures).train.fingerprint()
    np.save(entry(pictures) / "images.npy", images, allow_pickle=True)
    assert load(pictures).train.fingerprint() == first


def test_a_header_that_claims_what_the_file_does_not_hold_is_made_anew(pictures: Path) -> None:
    first = load(pictures).train.fingerprint()
    for shape in ((10**12, 8, 8, 3), (10**30, 8, 8, 3), (-6, 8, 8, 3)):
        with (entry(pictures) / "images.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        assert load(pictures).train.fingerprint() == first
