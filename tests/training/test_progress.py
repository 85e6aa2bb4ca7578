"""What is shown of speed and of the time left."""

from __future__ import annotations

import pytest
from rich.console import Console

from eanet.training import progress as module
from eanet.training.progress import LineDisplay, TrainingProgress


def test_the_time_left_does_not_count_on_compiling_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    shown = []
    monkeypatch.setattr(LineDisplay, "show", lambda _, step, **fields: shown.append(fields))
    with TrainingProgress(2, 100, 64, enabled=True) as progress:
        progress.start_epoch(0, 0)
        for step, took in enumerate((60.0, 0.5, 0.5), 1):  # seconds
            now += took
            progress.due()
            progress.show(0, step, {"loss": 1.0, "accuracy": 0.5}, None)
    assert [(fields["rate"], fields["left"]) for fields in shown] == [
        ("128 images/s", "1:39 left"),
        ("128 images/s", "1:38 left"),
    ]


def test_the_bar_of_a_long_training_is_one_line_of_80_columns() -> None:
    display = LineDisplay()
    display.start_epoch("epoch 100/300", 1563, 0)
    display.show(781, "1234 images/s", "loss 2.466  accuracy 86.3%", "1:02:47 left")
    terminal = Console(width=80)
    with terminal.capture() as capture:
        terminal.print(display._bar.make_tasks_table(display._bar.tasks))
    (line,) = capture.get().splitlines()
    assert line.startswith("epoch 100/300 ")
    assert line.endswith(" 1:02:47 left")
    display.stop()
