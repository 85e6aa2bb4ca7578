"""Two processes train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eanet.training.run_directory import RunDirectory

# Writes down which images a process takes, step by step. Validation takes slices.
WITNESS = """
import os, sys
from eanet.data import batches
real = batches.take
def take(images, indices):
    if not isinstance(indices, slice):
        with open(os.path.join({folder!r}, os.environ.get("RANK", "0")), "a") as file:
            print(*indices.tolist(), file=file)
    return real(images, indices)
batches.take = take
from eanet.cli import main
sys.exit(main(sys.argv[1:]))
"""


def train(output: Path, *launcher: str) -> tuple[dict[str, float], list[list[list[int]]]]:
    """One epoch on the digits; the dropout is off, as its bits are drawn by each process.

    Returns:
        The epoch's row, and for each process the images of each of its steps.
    """
    seen = output / "seen"
    seen.mkdir(parents=True)
    program = output / "program.py"
    program.write_text(WITNESS.format(folder=str(seen)))
    options = ["--model", "keras_eanet", "--recipe", "default", "--dropout", "0", "--epochs", "1"]
    options += ["--precision", "fp32", "--threads", "1", "--output", str(output), "--name", "run"]
    subprocess.run(
        [sys.executable, *launcher, str(program), "train", "digits", *options],
        check=True,
        capture_output=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert sorted(path.name for path in output.iterdir()) == ["program.py", "run", "seen"]
    (row,) = RunDirectory(output / "run").read_history()
    steps = [
        [[int(index) for index in line.split()] for line in path.read_text().splitlines()]
        for path in sorted(seen.iterdir())
    ]
    return row, steps


@pytest.mark.slow
def test_two_processes_share_out_the_images_of_each_step_and_train_as_one_does(tmp_path):
    alone, (whole,) = train(tmp_path / "one")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    shared, (first, second) = train(tmp_path / "two", *launcher)
    assert first == [step[::2] for step in whole]
    assert second == [step[1::2] for step in whole]
    # Gradients are added up in another order: equal but for rounding.
    for name in ("train_loss", "val_loss"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-3)
    assert shared["train_accuracy"] == pytest.approx(alone["train_accuracy"], abs=0.01)
