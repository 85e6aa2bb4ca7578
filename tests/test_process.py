from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eanet.errors import EanetError
from eanet.process import in_own_process


def refuse(text: str) -> None:
    raise EanetError(text)


def interrupt_the_caller(caller: int, file: str) -> str:
    """Ctrl-C in the process that waits for this one; what comes of it here."""
    try:
        os.kill(caller, signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:
        Path(file).write_text("told")
    return "too late"


def wait_to_be_told(file: str) -> None:
    """A call that saves when it is told to stop."""

    def save(*_: object) -> None:
        Path(file).write_text("saved")
        os._exit(0)

    signal.signal(signal.SIGTERM, save)
    Path(file).write_text(str(os.getpid()))
    time.sleep(60)


def until(file: Path, text: str = "") -> str:
    """What is in a file, once it is there and, if one is asked for, has this text."""
    for _ in range(600):
        if file.is_file() and (found := file.read_text()) and text in found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{file} was not written")


def test_what_a_call_raises_comes_back() -> None:
    with pytest.raises(EanetError, match="no such thing"):
        in_own_process(refuse, "no such thing")


def test_a_script_without_a_guard_is_told_of_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from eanet.process import in_own_process\nin_own_process(int)\n")
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert told.returncode
    assert "NotStartedError: a process of its own ended before it began" in told.stderr


def test_an_interrupt_reaches_the_call_and_then_the_caller(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        in_own_process(interrupt_the_caller, os.getpid(), str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "told"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_call_is_told_to_stop_when_its_caller_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_process import in_own_process, wait_to_be_told\n"
        f"if __name__ == '__main__': in_own_process(wait_to_be_told, {str(file)!r})\n"
    )
    (tmp_path / "program.py").write_text(program)
    caller = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")], stderr=subprocess.DEVNULL
    )
    assert int(until(file)) != caller.pid
    caller.kill()
    caller.wait()
    assert until(file, "saved") == "saved"
