"""Two processes train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eanet.training.run_directory import RunDirectory


def train(output: Path, *launcher: str) -> RunDirectory:
    """One epoch on the digits; the dropout is off, as its bits are drawn by each process."""
    options = ["--epochs", "1", "--precision", "fp32", "--threads", "1", "--output", str(output)]
    subprocess.run(
        [sys.executable, "-m", *launcher, "eanet", "train", "digits", "--name", "run", *options],
        check=True,
        capture_output=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return RunDirectory(output / "run")


@pytest.mark.slow
def test_two_processes_see_the_same_images_in_the_same_order(tmp_path):
    one = train(tmp_path / "one")
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
    two = train(tmp_path / "two", *launcher)
    (alone,), (shared,) = one.read_history(), two.read_history()
    # Gradients are added up in another order: equal but for rounding.
    for name in ("train_loss", "val_loss"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-3)
    assert shared["train_accuracy"] == pytest.approx(alone["train_accuracy"], abs=0.01)
    assert [p.name for p in (tmp_path / "two").iterdir()] == ["run"]
