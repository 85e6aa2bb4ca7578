"""Minutes instead of epochs, by a clock of the test's own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from eanet.config import TrainSettings
from eanet.device import Machine
from eanet.training import budget as budget_module
from eanet.training.budget import Budget
from eanet.training.launch import launch
from eanet.training.plan import resolve_compile
from eanet.training.resume import resume
from eanet.training.state import State
from tests.support.settings import resolved

STEPS, VALIDATION_STEPS = 10, 4


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(budget_module, "time", made)
    return made


def budget(state: State, clock: Clock, minutes: float | None) -> Budget:
    settings = resolved(epochs=20, minutes=minutes)
    return Budget(settings, STEPS, VALIDATION_STEPS, state, Fabric(), clock.now)


def run(
    clock: Clock, state: State, limit: Budget, step_seconds: float, stop_after: float = 1e9
) -> list[float]:
    """Do what the trainer does, with a validation of 8 seconds; the schedule's progress."""
    progress = []
    while not limit.is_over:
        while state.step < STEPS and not (state.step and limit.time_is_up):
            progress.append(limit.progress)
            clock.now += step_seconds + (30 if len(progress) == 1 else 0)  # compiles first
            state.step += 1
            limit.tick()
            if clock.now > stop_after:
                return progress
        clock.now += 8
        limit.tick(8)
        state.epoch, state.step = state.epoch + 1, 0
    return progress


@pytest.mark.parametrize("minutes", [2, 3.7, 10])
@pytest.mark.parametrize("step_seconds", [0.3, 4])
def test_ends_in_time_at_the_end_of_the_schedule(clock, minutes, step_seconds):
    state = State()
    limit = budget(state, clock, minutes)
    clock.now += 15  # the images are read
    progress = run(clock, state, limit, step_seconds)
    took = clock.now - 1000
    assert 0.9 * 60 * minutes - step_seconds <= took <= 60 * minutes + step_seconds
    assert progress[0] == 0
    assert all(a <= b for a, b in pairwise(progress))
    assert progress[-1] > 0.85 * 20
    assert max(progress) <= 20


def test_less_time_than_an_epoch_takes_is_a_part_of_an_epoch_and_one_validation(clock):
    state = State()
    limit = budget(state, clock, 1)
    run(clock, state, limit, 4)
    assert state.epoch == 1
    assert clock.now - 1000 <= 60 + 4


def test_without_any_time_one_step_is_taken_and_validated(clock):
    state = State()
    limit = budget(state, clock, 0.01)
    assert len(run(clock, state, limit, 4)) == 1
    assert state.epoch == 1


def test_a_resumed_run_has_what_was_left(clock):
    state = State()
    run(clock, state, budget(state, clock, 5), 1, stop_after=1000 + 150)
    clock.now += 9999  # the night
    again = State(**vars(state))
    limit = budget(again, clock, 5)
    left, before, resumed_at = limit.seconds_left, limit.progress, clock.now
    assert left is not None
    assert 140 <= left <= 150
    progress = run(clock, again, limit, 1)
    assert progress[0] == before > 5
    assert left - 10 <= clock.now - resumed_at <= left + 2
    assert budget(State(**vars(again)), clock, 5).is_over


def test_a_machine_that_slows_down_still_ends_in_time(clock):
    state = State()
    limit = budget(state, clock, 5)
    run(clock, state, limit, 0.5, stop_after=1000 + 100)
    progress = run(clock, state, limit, 5)
    assert clock.now - 1000 <= 300 + 5
    assert progress[-1] > 18


def test_epochs_count_without_minutes(clock):
    state = State(epoch=2, step=3)
    limit = budget(state, clock, None)
    limit.tick(3)
    assert (state.spent, state.validating) == (0, None)
    assert limit.progress == 2.4
    assert limit.seconds_left is None
    assert not limit.time_is_up
    assert not limit.is_over
    state.epoch = 20
    assert limit.is_over


def test_minutes_are_compiled_for_where_there_are_enough():
    machine = Machine("cpu", has_bf16=False, has_compiler=True)
    long = resolve_compile(TrainSettings(minutes=30), 0, machine)
    assert long == (True, "30 minutes ahead, enough to pay for a minute of compiling")
    assert not resolve_compile(TrainSettings(minutes=29), 1e20, machine)[0]


def test_a_run_of_minutes_leaves_a_model_and_is_finished_when_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings = TrainSettings.with_recipe(
        output=tmp_path, model="vit:depth=1,dim=8", minutes=0.03, precision="fp32"
    )
    made = launch(settings)
    history = made.read_history()
    assert history
    assert (made.path / "model.safetensors").is_file()
    assert made.read_config().resolved.minutes == 0.03
    state = made.read_checkpoint()["progress"]
    assert 0 < state["prepared"] <= state["spent"]
    resume(made.path)
    assert made.read_history() == history
    assert "nothing is left to train\n" in capsys.readouterr().err, "minutes are not extended"
