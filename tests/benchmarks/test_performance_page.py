"""The tables of the performance page, and that nobody wrote into the part that a run writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.comparison import Row
from benchmarks.performance_page import (
    BEGIN,
    END,
    figure_table,
    generated,
    profile_table,
    replace_generated,
    target_table,
)
from eanet.errors import EanetError
from tests.support.benchmark_records import complete, record

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["performance", "performance-float32"])
def test_the_page_shows_what_the_last_run_measured_and_nothing_else(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text("utf-8")
    result = json.loads((DOCS / f"{name}.json").read_text("utf-8"))
    assert replace_generated(page, generated(result)) == page


def test_what_stands_outside_the_markers_is_kept() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_generated(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


@pytest.mark.parametrize(
    "page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{END}", f"{BEGIN}{END}{BEGIN}{END}"]
)
def test_a_page_without_exactly_one_place_for_figures_is_left_alone(page: str) -> None:
    with pytest.raises(EanetError, match="the page must have one line"):
        replace_generated(page, "new")


def test_a_target_is_shown_with_its_marks_and_its_verdict() -> None:
    rows = [Row("speed", 6.04, "x", "6 against 1", 5, 8), Row("wait", 7, "ms", "", 5, 2)]
    assert list(target_table([*rows, Row("also", 1234.5, "x")]))[2:] == [
        "| speed | **6.04 x** | 6 against 1 | 5 x | 8 x | reached |",
        "| wait | **7 ms** |  | at most 5 ms | 2 ms | **missed** |",
        "| also | **1,234 x** |  |  |  |  |",
    ]


def test_figures_are_medians_over_the_rounds_with_the_number_of_all_calls() -> None:
    rounds = [record(("JAX", "off"), turn, training=10 * turn) for turn in (1, 2, 3)]
    line = list(figure_table(rounds, "eanet"))[-1]
    assert "| Keras, JAX, off | 20 (18 to 22; 15) |" in line
    assert line.endswith("| 3 |")


def test_a_setting_that_does_not_train_says_so() -> None:
    lines = list(figure_table(complete(), "eanet"))
    assert [line for line in lines if "cannot be compiled" in line] == [lines[3]]


def test_the_profile_begins_with_the_largest_share() -> None:
    lines = list(profile_table({"shares": {"little": 0.1, "much": 0.9}}))
    assert lines[2:] == ["| much | 90% |", "| little | 10% |"]
