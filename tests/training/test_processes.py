"""Two processes train as one does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eanet.data.source import open_source
from eanet.metrics.evaluation import evaluate_model
from eanet.models import load_model
from eanet.training.run_directory import CHECKPOINT, RunDirectory

# Writes down which images a process takes, step by step; the second one may be told to stop.
# Validation takes slices.
WITNESS = """
import os, signal, sys
from eanet.data import batches
real, taken = batches.take, 0
rank = os.environ.get("RANK", "0")
def take(images, indices):
    global taken
    if not isinstance(indices, slice):
        taken += 1
        if rank == "1" and str(taken) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGTERM)
        with open(os.path.join({folder!r}, rank), "a") as file:
            print(*indices.tolist(), file=file)
    return real(images, indices)
batches.take = take
from eanet.cli import main
sys.exit(main(sys.argv[1:]))
"""
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
OPTIONS = ["--recipe", "default", "--epochs", "1", "--precision", "fp32", "--threads", "1"]
# Dropout is off, as its bits are drawn by each process.
MODEL = ["--model", "keras_eanet:num_transformer_blocks=1", "--dropout", "0"]
BATCH_NORM = ["--model", "eanet_nano:dim=16,depth=1", "--ema", "0.9"]


def run(output: Path, launcher: tuple[str, ...], *arguments: str, **environment: str) -> str:
    """What the program says on standard error; the processes' images are in ``seen``."""
    (output / "seen").mkdir(parents=True, exist_ok=True)
    program = output / "program.py"
    program.write_text(WITNESS.format(folder=str(output / "seen")))
    done = subprocess.run(
        [sys.executable, *launcher, str(program), "train", *arguments],
        check="STOP_AT" not in environment,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    return done.stderr


def train(output: Path, launcher: tuple[str, ...], *options: str, **environment: str) -> str:
    """As `run`, of one epoch on the digits."""
    where = ["--output", str(output), "--name", "run"]
    return run(output, launcher, "digits", *OPTIONS, *options, *where, **environment)


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
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, (), *MODEL)
    train(two, TWO, *MODEL)
    assert sorted(path.name for path in two.iterdir()) == ["program.py", "run", "seen"]
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
    train(whole, TWO, *BATCH_NORM)
    told = train(cut, TWO, *BATCH_NORM, STOP_AT="3")
    assert "interrupted and saved" in told
    state = torch.load(cut / "run" / CHECKPOINT, weights_only=True)["progress"]
    assert [len(steps) for steps in seen(cut)] == [state["step"]] * 2
    alone = Path(shutil.copytree(cut / "run", tmp_path / "alone" / "run"))
    run(alone.parent, (), "--resume", str(alone))
    run(cut, TWO, "--resume", str(cut / "run"))
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
