"""Two processes train as one does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eanet.config import TrainSettings
from eanet.data.source import open_source
from eanet.metrics.evaluation import evaluate_model
from eanet.models import load_model
from eanet.training.run_directory import CHECKPOINT, RunDirectory
from tests.support.processes import run_together, start
from tests.support.trainings import command, go_on, train

# Dropout is off, as its bits are drawn by each process.
MODEL = {"model": "keras_eanet:num_transformer_blocks=1", "dropout": 0}
BATCH_NORM = {"model": "eanet_nano:dim=16,depth=1", "ema": 0.9}


def settings(output: Path, **given: object) -> TrainSettings:
    """Of a run of one epoch on the digits."""
    options = {"recipe": "default", "epochs": 1, "precision": "fp32", "threads": 1, **given}
    return TrainSettings.with_recipe(output=output, name="run", **options)


def by_itself(output: Path, call: Callable[..., None], *arguments: object) -> None:
    """Call in a process of its own; its images are in ``seen``."""
    (output / "seen").mkdir(parents=True, exist_ok=True)
    log = output.with_suffix(".log")
    process = start(call, output / "seen", *arguments, log=log)
    process.join(240)
    assert process.exitcode == 0, log.read_text()


def together(output: Path, call: Callable[..., None], *arguments: object) -> str:
    """The same in two processes that train together; what they say on standard error."""
    (output / "seen").mkdir(parents=True, exist_ok=True)
    logs = output.with_suffix(".logs")
    run_together(2, call, output / "seen", *arguments, logs=logs)
    return "".join(path.read_text() for path in logs.rglob("stderr.log"))


def row(output: Path) -> dict[str, float]:
    """The epoch's."""
    (found,) = RunDirectory(output / "run").read_history()
    return found


def seen(output: Path) -> list[list[list[int]]]:
    """For each process the images of each of its steps."""
    return [
        [[int(index) for index in line.split()] for line in path.read_text().splitlines()]
        for path in sorted((output / "seen").iterdir())
    ]


@pytest.mark.slow
def test_two_processes_share_out_the_images_of_each_step_and_train_as_one_does(tmp_path):
    """Two by the command, as under ``torchrun``."""
    one, two = tmp_path / "one", tmp_path / "two"
    by_itself(one, train, settings(one, **MODEL))
    options = {"epochs": 1, "recipe": "default", "precision": "fp32", "threads": 1, **MODEL}
    options |= {"output": two, "name": "run"}
    together(two, command, "train", "digits", *(f"--{name}={v}" for name, v in options.items()))
    assert sorted(path.name for path in two.iterdir()) == ["run", "seen"]
    (whole,), (first, second) = seen(one), seen(two)
    assert first == [step[::2] for step in whole]
    assert second == [step[1::2] for step in whole]
    # Gradients are added up in another order: equal but for rounding.
    alone, shared = row(one), row(two)
    for name in ("train_loss", "val_loss"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-3)
    assert shared["train_accuracy"] == pytest.approx(alone["train_accuracy"], abs=0.01)


@pytest.mark.slow
def test_where_one_of_two_is_told_to_stop_both_do_and_go_on_to_the_same_bits(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    together(whole, train, settings(whole, **BATCH_NORM))
    told = together(cut, train, settings(cut, **BATCH_NORM), 3)
    assert "interrupted and saved" in told
    state = torch.load(cut / "run" / CHECKPOINT, weights_only=True)["progress"]
    assert [len(steps) for steps in seen(cut)] == [state["step"]] * 2
    one = tmp_path / "one"
    shutil.copytree(cut / "run", one / "run")
    by_itself(one, go_on, one / "run")
    together(cut, go_on, cut / "run")
    assert seen(cut) == seen(whole), "no step was done twice"
    first, second = (load_file(path / "run" / "model.safetensors") for path in (whole, cut))
    assert all(torch.equal(first[name], second[name]) for name in first)
    resolved = RunDirectory(whole / "run").read_config().resolved
    held_out = open_source(resolved.data).load(resolved).validation
    kept = evaluate_model(
        load_model(whole / "run"), held_out, label_smoothing=resolved.label_smoothing
    )
    assert kept.loss == pytest.approx(row(whole)["val_loss"], rel=1e-5), (
        "what is kept was validated"
    )
    times = ("seconds", "images_per_second")
    first, second = ({k: v for k, v in row(p).items() if k not in times} for p in (whole, cut))
    assert second == pytest.approx(first, rel=1e-6)
    # One process alone goes on with the same images; batch statistics are then of them all.
    assert row(one)["train_loss"] == pytest.approx(first["train_loss"], rel=0.05)
