"""What a training needs of the machine's memory."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil
import pytest
import torch

import eanet
from eanet import create_model
from eanet.training import memory
from eanet.training.memory import activation_bytes, training_bytes
from tests.support.processes import result_of


def estimate_and_peak() -> tuple[int, int]:
    """Of a step, in bytes beyond what the process has held before it."""
    torch.set_num_threads(1)
    model = create_model("keras_vit", num_transformer_blocks=2, dropout=0.2).train()
    before = psutil.Process().memory_info().rss
    estimate = training_bytes(model, 32)
    Path("/proc/self/clear_refs").write_text("5")
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(32, 3, 32, 32)).logsumexp(1).sum().backward()
    optimizer.step()
    peak = 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    return estimate - before, peak - before


def test_the_activations_of_twice_as_many_images_take_twice_as_much() -> None:
    model = create_model("keras_eanet", num_transformer_blocks=2)
    assert activation_bytes(model, 64) == 2 * activation_bytes(model, 32) > 0


def test_estimating_changes_neither_the_model_nor_the_generator() -> None:
    model = create_model("eanet_nano").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    training_bytes(model, 8)
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_estimate_is_near_the_peak() -> None:
    estimate, peak = result_of(estimate_and_peak)
    assert estimate == pytest.approx(peak, rel=0.3)


@pytest.mark.usefixtures("undrawn")
def test_a_training_that_does_not_fit_says_so_before_it_begins(
    photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    options = {"epochs": 1, "image_size": 16, "compile": "off", "output": tmp_path}
    eanet.train(photos, **options)
    first, *later = [line for line in capsys.readouterr().err.splitlines() if "memory" in line]
    assert re.match(r"this training needs about [\d.]+ GiB of memory, and [\d.]+ GiB are", first)
    assert not later
    monkeypatch.undo()
    eanet.train(photos, **options)
    assert "memory" not in capsys.readouterr().err
