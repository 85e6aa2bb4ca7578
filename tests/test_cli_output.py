"""What the figures of an evaluation look like in a terminal."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from eanet.cli.output import print_table, show_metrics
from tests.support.reports import make_report


def lines(capsys: pytest.CaptureFixture[str], wrong: float) -> list[str]:
    """Those of a made-up evaluation whose detector rejects every other image."""
    evaluation = make_report(["ant", "bee"], 40, wrong=wrong).evaluation
    rejecting = replace(evaluation, distance=np.array([0.5, 1.5] * 20, dtype=np.float32))
    show_metrics(rejecting.metrics(), [])
    return capsys.readouterr().out.splitlines()


def test_whether_guessing_is_beaten_stands_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    guess = "guess  50.00%  (always the largest class of these images{})"
    assert guess.format("") in lines(capsys, wrong=0)
    assert guess.format("; top-1 is not shown to be better") in lines(capsys, wrong=0.5)


def test_what_a_detector_costs_in_right_answers_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in lines(capsys, wrong=0) if line.startswith("not sure"))
    assert line.startswith("not sure of 50.00% of these images  (95% interval ")
    assert line.endswith("; 50.00% of the right answers)")


def table(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    wrapped: int | None,
) -> list[list[str]]:
    """Lines of a table in a window of some columns, divided where columns are."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = [("a" * 24, "279,980", "1.31 (0.996 to 21.6)"), ("mouse", "91,300", "18.5 (1 to 2)")]
    print_table(("model", "parameters", "one image, ms"), rows, wrapped=wrapped)
    out = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)  # heads are bold
    lines = [line.strip() for line in out.splitlines()]
    assert all(len(line) <= columns for line in lines)
    return [re.split(" {2,}", line) for line in lines]


def test_a_table_too_wide_for_the_window_is_divided_and_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table(monkeypatch, capsys, 58, None)[1] == ["a" * 24, "279,980", "1.31 (0.996 to 21.6)"]
    assert table(monkeypatch, capsys, 50, None) == [
        ["model", "parameters"],
        ["a" * 24, "279,980"],
        ["mouse", "91,300"],
        [""],
        ["model", "one image, ms"],
        ["a" * 24, "1.31 (0.996 to 21.6)"],
        ["mouse", "18.5 (1 to 2)"],
    ]


def test_a_long_name_is_wrapped_before_the_numbers_beside_it_are_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapped = table(monkeypatch, capsys, 55, 0)
    assert wrapped[1] == ["a" * 21, "279,980", "1.31 (0.996 to 21.6)"]
    assert wrapped[2] == ["a" * 3]
    narrow = table(monkeypatch, capsys, 20, None)  # not even one column beside the name fits
    assert "".join(cells[0] for cells in narrow).count("a" * 5) >= 2
