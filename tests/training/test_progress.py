"""What is shown of speed and of the time left."""

from __future__ import annotations

import pytest

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
