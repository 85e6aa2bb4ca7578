"""The campaign of mutated files: that it notices what is wrong, and that little of it passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

# Ways to go wrong, each with what it should be called.
CALLS = """
import ctypes, json, os, pickle, socket, subprocess, sys, time
from pathlib import Path
from eanet.errors import EanetError
from tools.fuzz import child
child.SECONDS = 1
folder = Path(sys.argv[1])

def refuse(text):
    raise EanetError(text)

def loop():
    while True:
        pass

calls = {
    "fine": lambda: (folder / "x").write_text("x"),
    "refused": lambda: refuse("x is no image"),
    "lines": lambda: refuse("x is no image\\nTraceback"),
    "raw": lambda: int("x"),
    "crash": lambda: ctypes.string_at(1),
    "exit": lambda: os._exit(3),
    "loop": loop,
    "wait": lambda: time.sleep(60),
    "memory": lambda: bytearray(8 << 30),
    "program": lambda: subprocess.run(["true"]),
    "shell": lambda: os.system("true"),
    "connection": lambda: socket.create_connection(("localhost", 9)),
    "outside": lambda: (folder.parent / "y").write_text("y"),
    "removal": lambda: (folder.parent / "z").unlink(),
    "pickle": lambda: pickle.loads(pickle.dumps(print)),
}
print(json.dumps({name: child.run_in_child(call, folder).kind for name, call in calls.items()}))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since it forks."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
    )


def test_whatever_goes_wrong_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "z").touch()
    done = python("-c", CALLS, str(tmp_path / "work"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "fine": "read",
        "refused": "refused in one line",
        "lines": "exception",
        "raw": "exception",
        "crash": "crash",
        "exit": "crash",
        "loop": "too much time",
        "wait": "too much time",
        "memory": "too much memory",
        **dict.fromkeys(
            ("program", "shell", "connection", "outside", "removal", "pickle"), "reached outside"
        ),
    }
    assert not (tmp_path / "y").exists()
    assert (tmp_path / "z").exists()


def test_some_mutated_files_of_every_kind_do_no_harm(tmp_path: Path) -> None:
    done = python("-m", "tools.fuzz", "--inputs", "40", "--without-onnx", "--keep", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("all ")
    assert "refused in one line" in done.stdout
