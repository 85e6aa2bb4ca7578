from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from eanet.device import (
    device_or_other,
    has_bf16,
    has_compiler,
    keep_compiled,
    processor_name,
    resolve_device,
)
from eanet.errors import EanetError
from eanet.ops.kernels import find_compiler


def offer(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    assert resolve_device("auto") == "cpu"
    offer(monkeypatch, mps=True)
    assert resolve_device("auto") == "mps"
    offer(monkeypatch, cuda=True)
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, cuda=True)
    with pytest.raises(EanetError, match="no mps device here; use --device cuda or cpu"):
        resolve_device("mps")


def test_a_device_with_a_number_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, cuda=True)
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 1)
    assert resolve_device("cuda:1") == "cuda"
    assert resolve_device("cpu:0") == "cpu"
    with pytest.raises(EanetError, match=r"CUDA_VISIBLE_DEVICES=0 .* with --device cuda"):
        resolve_device("cuda:0")
    offer(monkeypatch)
    with pytest.raises(EanetError, match="no cuda:1 device here; use --device cpu"):
        resolve_device("cuda:1")


def test_a_run_of_another_machine_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    assert device_or_other("cuda") == "cpu"
    offer(monkeypatch, cuda=True)
    assert device_or_other("mps") == "cuda"
    assert device_or_other("cpu") == "cpu"


def test_bf16_that_the_processor_only_emulates_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        assert has_bf16("cpu") == native
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_bf16("cpu")
    assert not has_bf16("mps")


def test_compiling_needs_pythons_headers_and_the_compiler_that_pytorch_calls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("eanet.device.COMPILER", "g++")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert not has_compiler("cpu")
    (tmp_path / "Python.h").touch()
    assert has_compiler("cpu")
    monkeypatch.setattr("shutil.which", lambda name: name if name == "clang++" else None)
    assert find_compiler() == "clang++"
    assert not has_compiler("cpu")


def test_a_compiler_is_looked_for_where_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: name if name == "my-c++" else None)
    assert not has_compiler("cpu")
    monkeypatch.setenv("CXX", "my-c++")
    assert has_compiler("cpu")
    assert not has_compiler("mps")


def test_triton_needs_a_c_compiler_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = {"gcc"}
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: name if name in found else None)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    monkeypatch.delenv("CC", raising=False)
    assert has_compiler("cuda")
    monkeypatch.setenv("CC", "another")  # it looks for no other then
    assert not has_compiler("cuda")
    found.add("another")
    assert has_compiler("cuda")
    monkeypatch.delenv("CC")
    found.clear()
    assert not has_compiler("cuda")


def test_what_a_killed_compiler_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    whole, empty, begun = (tmp_path / "ab" / f"{name}.so" for name in ("whole", "empty", "begun"))
    whole.parent.mkdir()
    for library, code in ((whole, b"ELF"), (empty, b""), (begun, b"")):
        library.write_bytes(code)
    for library in (whole, empty):
        os.utime(library, (0, 0))
    keep_compiled()
    assert sorted(whole.parent.iterdir()) == [begun, whole]


def test_compiled_code_is_kept_where_nobody_else_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "chosen")  # so that it is restored
    keep_compiled()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "chosen"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    keep_compiled()
    kept = tmp_path / "compiled"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(kept)
    assert kept.stat().st_mode & 0o777 == 0o700
    assert capsys.readouterr().err == ""

    kept.chmod(0o777)
    (kept / "ab").mkdir()
    (kept / "ab" / "planted.so").write_bytes(b"not ours")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    keep_compiled()
    other = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert other != kept
    assert other.stat().st_mode & 0o777 == 0o700
    assert not list(other.iterdir())
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("compiled code is not kept for the next time: ")
    assert "can be written by others; chmod go-w" in said


def test_the_processor_has_a_name() -> None:
    assert processor_name().strip()
