from __future__ import annotations

import pytest

import eanet
from benchmarks.faithfulness import METHODS, measure


def test_every_method_is_measured_under_both_covers(
    trained: eanet.TrainingResult, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(str(trained.path), 4, "test")
    first, header, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{trained.path}: 4 test images, ")
    assert header.split()[-8:] == ["10%", "mean", "20%", "mean", "10%", "other", "20%", "other"]
    assert [row[:22].strip() for row in rows] == list(METHODS)
    lost = {row[:22].strip(): [float(points) for points in row[22:].split()] for row in rows}
    assert lost["occlusion"][0] > lost["random"][0]
