"""What is known of the user's own images before they are decoded."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from eanet.data.source import open_source
from eanet.data.statistics import ImageStatistics
from eanet.errors import EanetError


def test_they_come_from_the_headers_of_the_files(tmp_path: Path) -> None:
    for number, size in enumerate(((50, 90), (70, 60), (400, 80))):
        (tmp_path / f"c{number % 2}").mkdir(exist_ok=True)
        Image.new("RGB", size).save(tmp_path / f"c{number % 2}" / f"{number}.jpg")
    (tmp_path / "c0" / "bad.jpg").write_text("no image")
    assert open_source(tmp_path).statistics() == ImageStatistics(
        images=4, classes=2, side=60, longer=90, cropped=1 - 50 / 90, halved=1 / 3
    )
    (tmp_path / "none").mkdir()
    with pytest.raises(EanetError, match="no class folders"):
        open_source(tmp_path / "none").statistics()


def test_files_that_cannot_be_read_are_left_to_the_decoder_to_report(
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bad.jpg").write_text("no image")
    assert open_source(tmp_path).statistics().side == 0
