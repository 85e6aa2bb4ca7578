"""Runs a call in a forked process with limits, and says how it ended."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eanet.errors import EanetError

SECONDS = 20  # of computing; of waiting, three times as many
MEMORY = 2 << 30  # bytes beyond what the process has when the call begins
MOST_CHARACTERS = 2000  # of an error

STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
CONNECTS = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "urllib.Request",
)
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.link", "os.symlink")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
HARMLESS = ("/dev/null", "/dev/tty")

OK, REFUSED = "read", "refused in one line"
FINDINGS = ("exception", "crash", "too much time", "too much memory", "reached outside")


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        kind: `OK`, `REFUSED` or one of `FINDINGS`.
        detail: the line, the traceback or what was tried.
    """

    kind: str
    detail: str = ""

    @property
    def is_finding(self) -> bool:
        """Whether the program should have done something else."""
        return self.kind in FINDINGS


def run_in_child(call: Callable[[], object], folder: Path) -> Outcome:
    """Run a call in a forked process that may change files below ``folder`` alone."""
    with _silent_pipe() as (reader, writer):
        pid = os.fork()
        if pid == 0:
            _child(call, folder, writer)
        os.close(writer)
        deadline = time.monotonic() + 3 * SECONDS
        parts: list[bytes] = []
        while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if not (part := os.read(reader, 1 << 16)):
                break
            parts.append(part)
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return Outcome("too much time", f"{3 * SECONDS} s of waiting")
        _, status = os.waitpid(pid, 0)
    kind, _, detail = b"".join(parts).decode("utf-8", "replace").partition("\n")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return Outcome("too much time", f"{SECONDS} s of computing")
        return Outcome("crash", signal.Signals(number).name)
    return Outcome(kind, detail) if kind else Outcome("crash", f"exit code {status >> 8}")


@contextmanager
def _silent_pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)


def _child(call: Callable[[], object], folder: Path, writer: int) -> None:
    """Run the call, write the outcome into the pipe, and end."""

    def end(kind: str, detail: str = "") -> None:
        os.write(writer, f"{kind}\n{detail}".encode("utf-8", "replace")[:60_000])
        os._exit(0)

    os.chdir(folder)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    tempfile.tempdir = str(folder)
    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    sys.addaudithook(_guard(folder, end))
    try:
        call()
    except EanetError as error:
        text = str(error)
        if "\n" in text or len(text) > MOST_CHARACTERS:
            end("exception", f"an error of more than a line: {text}")
        end(REFUSED, text)
    except MemoryError:
        end("too much memory", traceback.format_exc())
    except BaseException as error:
        is_memory = "can't allocate memory" in str(error) or "not enough memory" in str(error)
        end("too much memory" if is_memory else "exception", traceback.format_exc())
    end(OK)


def _guard(folder: Path, end: Callable[[str, str], None]) -> Callable[[str, tuple[Any, ...]], None]:
    """Return a hook that ends the process when it reaches beyond ``folder``."""
    inside = os.path.realpath(folder)

    def is_outside(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return real != inside and not real.startswith(inside + os.sep) and real not in HARMLESS

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            mode, flags = str(arguments[1] or ""), arguments[2] or 0
            changes = bool(set(mode) & set("wax+")) or flags & (
                os.O_WRONLY | os.O_RDWR | os.O_CREAT
            )
        else:
            changes = event in CHANGES
        is_forbidden = event.startswith((*STARTS, *CONNECTS)) or event == "pickle.find_class"
        if is_forbidden or (changes and is_outside(arguments[0])):
            end("reached outside", f"{event} {arguments!r}")

    return hook
