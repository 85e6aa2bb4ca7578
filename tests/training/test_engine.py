"""Device, precision and the decision to compile."""

from __future__ import annotations

import logging
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress

import pytest
import torch

import eanet
from eanet import EanetError, console, create_model, device
from eanet.config import TrainSettings
from eanet.device import Machine
from eanet.interruption import stop_requests
from eanet.training import engine
from eanet.training.plan import resolve_compile, resolve_precision
from tests.support.process_state import state_of_process
from tests.support.processes import result_of


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
        ("off", True, 1e15, False, "as set"),
        ("on", True, 0, True, "as set"),
    ],
)
def test_compiles_where_it_pays_and_says_why(asked, compiler, operations, answer, reason):
    machine = Machine("cpu", has_bf16=False, has_compiler=compiler)
    compiled, why = resolve_compile(TrainSettings(compile=asked), operations, machine)
    assert compiled is answer
    assert re.match(reason, why)


def test_compiling_without_a_compiler_says_what_is_missing():
    machine = Machine("mps", has_bf16=False, has_compiler=False)
    with pytest.raises(
        EanetError, match=r"needs Python's headers .* not found for mps; use --compile off"
    ):
        resolve_compile(TrainSettings(compile="on"), 0, machine)


def test_precision_is_as_asked_or_what_the_hardware_has():
    fabric = engine.create_fabric(TrainSettings(device="cpu", precision="bf16"))
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    for has_bf16, precision in ((False, "fp32"), (True, "bf16")):
        machine = Machine("cpu", has_bf16=has_bf16, has_compiler=True)
        assert resolve_precision("auto", machine) == precision
        assert resolve_precision("bf16", machine) == "bf16"


@pytest.mark.parametrize("native", [True, False])
def test_bf16_that_is_emulated_is_computed_if_asked_for_and_said_to_be_slow(
    native, monkeypatch, capsys
):
    console.notice_once.cache_clear()
    monkeypatch.setattr(device, "has_bf16", lambda name: native)
    engine.create_fabric(TrainSettings(device="cpu", precision="fp32"))
    assert not capsys.readouterr().err
    engine.create_fabric(TrainSettings(device="cpu", precision="bf16"))
    assert ("emulates bf16" in capsys.readouterr().err) != native


def test_a_process_of_ours_is_set_up_for_good():
    with engine.compute_environment(TrainSettings()):  # not in these tests
        engine.configure_process(threads=3)
        assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    "compiled",
    [
        "off",
        pytest.param(
            "on",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"),
            ],
        ),
    ],
)
def test_training_in_a_notebook_leaves_everything_else_as_it_was(
    compiled, photos, tmp_path, monkeypatch, request
):
    if compiled == "on":  # what pictures leave behind is seen without the compiler
        request.getfixturevalue("undrawn")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    logging.getLogger("lightning_fabric").setLevel(logging.INFO)
    import torch._inductor.compile_fx

    torch.manual_seed(5)
    before = state_of_process()
    options = {"epochs": 1, "image_size": 16, "threads": before["threads"] + 1}
    options |= {"model": "keras_mlp:num_transformer_blocks=1", "precision": "fp32", "flip": False}
    options |= {"rotation": 0, "zoom": 0, "contrast": 0}  # little to compile
    result = eanet.train(photos, output=tmp_path, compile=compiled, **options)
    after = state_of_process()
    new = after["levels"].keys() - before["levels"].keys()
    assert {name: after[name] for name in before if name != "levels"} == {
        name: before[name] for name in before if name != "levels"
    }
    assert {k: v for k, v in after["levels"].items() if k not in new} == before["levels"]
    eanet.resume(result.path)
    assert state_of_process() == after


@pytest.mark.parametrize(
    ("asked", "in_use", "forked"),
    [("cpu", False, []), ("cpu", True, [0, 1]), ("cuda", False, [0, 1]), ("auto", False, [0, 1])],
)
def test_random_generators_of_gpus_that_are_in_use_are_restored(asked, in_use, forked, monkeypatch):
    found = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.random, "fork_rng", lambda devices: found.extend(devices) or nullcontext()
    )
    with engine.compute_environment(TrainSettings(device=asked)):
        pass
    assert found == forked


@pytest.fixture
def other_defaults():
    """PyTorch as a program around may have left it."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")  # stands for a GPU: what lies there cannot be used on a CPU
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_defaults_of_the_program_around_neither_reach_a_training_nor_are_lost(
    mode, other_defaults, photos, tmp_path
):
    options = {"epochs": 1, "image_size": 16, "model": "keras_mlp:num_transformer_blocks=1"}
    with mode():
        result = eanet.train(photos, output=tmp_path, precision="fp32", device="cpu", **options)
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
        assert not torch.is_grad_enabled()
    assert result.metrics["images"]
    assert eanet.load_model(result.path).head.weight.device.type == "cpu"
    assert (torch.get_default_dtype(), torch.get_default_device().type) == (torch.float64, "meta")


def test_what_was_there_comes_back_if_the_training_fails(tmp_path):
    before = state_of_process()
    with suppress(ZeroDivisionError), engine.compute_environment(TrainSettings(threads=3)):
        torch.manual_seed(0)
        raise ZeroDivisionError
    assert state_of_process() == before


def page_faults(setting: str) -> int:
    """Of eight large tensors that are made and freed, one after the other."""
    if setting == "kept":
        device.keep_freed_memory()
    elif setting == "kept and given back":
        with device.freed_memory_kept():
            pass
    for _ in range(20):  # until the holes are large enough to be used
        torch.ones(2**24)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's malloc")
def test_freed_memory_is_kept_for_the_next_step():
    """The pages of a large tensor are not asked for again once it has been freed."""
    found = [
        result_of(page_faults, setting) for setting in ("kept", "default", "kept and given back")
    ]
    assert found[0] < 1000
    assert min(found[1:]) > 100_000


def test_the_first_interrupt_is_a_request_and_the_second_is_obeyed_at_once():
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as request:
        assert not request.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "x"},
        {"RANK": "-1"},
        {"RANK": "1"},
        {"RANK": "²"},
        {"LOCAL_RANK": ""},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": "2.5"},
        {"LOCAL_WORLD_SIZE": "0"},
        {"LOCAL_WORLD_SIZE": "2"},
        {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2"},
    ],
    ids=str,
)
def test_wrong_variables_of_torchrun_are_one_line(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    named = "|".join(f"{name}={value}" for name, value in variables.items())
    with pytest.raises(EanetError, match=f"({named}).* in the environment .*torchrun") as caught:
        engine.create_fabric(TrainSettings(device="cpu"))
    assert "\n" not in str(caught.value)


def test_they_are_one_line_too_where_lightning_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eanet", "train", "digits"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "RANK": "x"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("eanet: error: process x: RANK=x in the environment is no number")
    assert done.stderr.count("\n") == 1
