"""The figures that a notebook and ``repr`` show first."""

from __future__ import annotations

from eanet.report.figures import accuracy_figures, in_words

METRICS = {
    "images": 2000,
    "classes": 2,
    "top1": 0.9,
    "top1_low": 0.8,
    "top1_high": 0.95,
    "majority_baseline": 0.5,
}


def test_intervals_over_groups_say_so_as_on_the_page_and_on_the_command_line() -> None:
    grouped = METRICS | {"groups": 40}
    assert in_words(METRICS) == "top-1 90.0% (80.0% to 95.0%) of 2,000 images"
    assert in_words(grouped) == "top-1 90.0% (80.0% to 95.0%) of 2,000 images in 40 groups"
    notes = [next(accuracy_figures(metrics)).note for metrics in (METRICS, grouped)]
    assert notes[0] == "95% interval 80.0% to 95.0% of 2,000 images"
    assert notes[1] == f"{notes[0]} in 40 groups"
