"""A cell that is run again and again leaks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.notebook_memory import MOST_GROWTH, memory_after_runs
from tests.support.pictures import blank_pictures
from tests.support.processes import result_of


def measure(photos: Path) -> list[int]:
    with blank_pictures():
        return memory_after_runs(photos, runs=6)


@pytest.mark.slow
def test_six_runs_take_no_more_memory_than_two(photos: Path) -> None:
    used = result_of(measure, photos)
    assert used[-1] <= MOST_GROWTH * used[1]
