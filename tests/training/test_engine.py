"""Device, precision and the decision to compile."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys

import pytest
import torch

from eanet import EanetError, console, create_model, device
from eanet.config import TrainSettings
from eanet.interruption import stop_requests
from eanet.training import engine


def test_operations_are_counted_on_the_model_and_grow_with_the_images():
    model = create_model("keras_eanet").eval()
    one = engine.training_operations(model, 1)
    # 84.4 M multiply-adds an image once weights are multiplied first; 2 operations each, 3 passes.
    assert one == pytest.approx(6 * 84.4e6, rel=0.05)
    assert engine.training_operations(model, 1000) == 1000 * one


@pytest.mark.parametrize(
    ("asked", "compiler", "operations", "answer", "reason"),
    [
        ("auto", True, 1e15, True, "1,000.0 TFLOP ahead, enough to pay for a minute"),
        ("auto", True, 1e12, False, "1.0 TFLOP ahead, too little to pay for a minute"),
        ("auto", False, 1e15, False, "no compiler or no Python.h for cpu"),
        ("off", True, 1e15, False, "as asked"),
        ("on", True, 0, True, "as asked"),
    ],
)
def test_compiles_where_it_pays_and_says_why(
    monkeypatch, asked, compiler, operations, answer, reason
):
    monkeypatch.setattr(engine, "has_compiler", lambda device: compiler)
    compiled, why = engine.decide_compile(TrainSettings(compile=asked), "cpu", operations)
    assert compiled is answer
    assert re.match(reason, why)


def test_compiling_without_a_compiler_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(engine, "has_compiler", lambda device: False)
    with pytest.raises(
        EanetError, match=r"needs Python's headers .* not found for mps; use --compile off"
    ):
        engine.decide_compile(TrainSettings(compile="on"), "mps", 0)


def test_threads_and_precision_are_as_asked(monkeypatch):
    before = torch.get_num_threads()
    try:
        fabric = engine.create_fabric(TrainSettings(device="cpu", threads=3, precision="bf16"))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    monkeypatch.setattr(engine, "has_bf16", lambda device: False)
    assert engine.resolve_precision("auto", "cpu") == "fp32"


@pytest.mark.parametrize("native", [True, False])
def test_bf16_that_is_emulated_is_computed_if_asked_for_and_said_to_be_slow(
    native, monkeypatch, capsys
):
    console.notice_once.cache_clear()
    monkeypatch.setattr(device, "has_bf16", lambda name: native)
    assert engine.resolve_precision("fp32", "cpu") == "fp32"
    assert not capsys.readouterr().err
    assert engine.resolve_precision("bf16", "cpu") == "bf16"
    assert ("emulates bf16" in capsys.readouterr().err) != native


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's malloc")
def test_freed_memory_is_kept_for_the_next_step():
    """The pages of a large tensor are not asked for again once it has been freed."""
    program = (
        "import resource, torch; from eanet.device import keep_freed_memory\n"
        "{}\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): torch.ones(2**24)\n"  # until the holes are large enough to be used
        "before = faults()\n"
        "for _ in range(8): torch.ones(2**24)\n"
        "print(faults() - before)"
    )
    found = [
        int(subprocess.run([sys.executable, "-c", program.format(call)],
            check=True, capture_output=True, text=True).stdout)
        for call in ("keep_freed_memory()", "")
    ]  # fmt: skip
    assert found[0] < 1000
    assert found[1] > 100_000


def test_the_first_interrupt_is_a_request_and_the_second_is_obeyed_at_once():
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as request:
        assert not request.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
