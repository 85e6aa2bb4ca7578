"""Two processes train as one does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eanet.config import TrainSettings
from eanet.data.source import open_source
from eanet.metrics.evaluation import evaluate_model
from eanet.models import load_model
from eanet.training.run_directory import CHECKPOINT, RunDirectory
from tests.support.processes import start
from tests.support.trainings import go_on, train

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
REPOSITORY = Path(__file__).resolve().parents[2]
# Dropout is off, as its bits are drawn by each process.
MODEL = {"model": "keras_eanet:num_transformer_blocks=1", "dropout": 0}
BATCH_NORM = {"model": "eanet_nano:dim=16,depth=1", "ema": 0.9}


def settings(output: Path, **given: object) -> TrainSettings:
    """Of a run of one epoch on the digits."""
    options = {"recipe": "default", "epochs": 1, "precision": "fp32", "threads": 1, **given}
    return TrainSettings.with_recipe(output=output, name="run", **options)


def in_processes(count: int, call, argument: object, output: Path, **environment: str) -> str:
    """What so many processes that train together say on standard error, all in one.

    Their images are in ``seen``.
    """
    steps = output / "seen"
    steps.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sizes = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    sizes |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "none"}
    started = [
        start(
            call, argument, steps, log=output / f"log{rank}", RANK=str(rank), LOCAL_RANK=str(rank),
            **sizes, **environment,
        )
        for rank in range(count)
    ]  # fmt: skip
    for process in started:
        process.join(240)
    told = "".join((output / f"log{rank}").read_text() for rank in range(count))
    assert [p.exitcode for p in started] == [1 if "STOP_AT" in environment else 0] * count, told
    return told


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
    """One by itself, and two by ``torchrun`` and the command."""
    one, two = tmp_path / "one", tmp_path / "two"
    in_processes(1, train, settings(one, **MODEL), one)
    (two / "seen").mkdir(parents=True)
    options = {"epochs": 1, "recipe": "default", "precision": "fp32", "threads": 1, **MODEL}
    options |= {"output": two, "name": "run"}
    given = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, *TORCHRUN, "-m", "tests.support.trainings", str(two / "seen")]
    subprocess.run(
        [*command, "train", "digits", *given],
        check=True,
        capture_output=True,
        timeout=240,
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
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
    in_processes(2, train, settings(whole, **BATCH_NORM), whole)
    told = in_processes(2, train, settings(cut, **BATCH_NORM), cut, STOP_AT="3")
    assert "interrupted and saved" in told
    state = torch.load(cut / "run" / CHECKPOINT, weights_only=True)["progress"]
    assert [len(steps) for steps in seen(cut)] == [state["step"]] * 2
    alone = Path(shutil.copytree(cut / "run", tmp_path / "alone" / "run"))
    in_processes(1, go_on, alone, alone.parent)
    in_processes(2, go_on, cut / "run", cut)
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
    assert row(alone.parent)["train_loss"] == pytest.approx(first["train_loss"], rel=0.05)
