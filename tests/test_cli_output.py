"""What the figures of an evaluation look like in a terminal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eanet.cli.output import show_metrics
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
