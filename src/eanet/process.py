"""Processes: how many compute together; calls in one of their own, which ends with this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from eanet.errors import EanetError, NotStartedError
from eanet.interruption import when_interrupted

P = ParamSpec("P")
T = TypeVar("T")


def process_counts() -> tuple[int, int]:
    """Return how many processes ``torchrun`` has started, and how many of them on this machine.

    Raises:
        EanetError: its variables are wrong.
    """
    defaults = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
    found = {}
    for name, default in defaults.items():
        text = os.environ.get(name, str(default))
        if not text.isdecimal() or int(text) < default:
            raise EanetError(
                f"{name}={text} in the environment is no number of processes; unset it, unless "
                "torchrun has set it"
            )
        found[name] = int(text)
    processes, local = found["WORLD_SIZE"], found["LOCAL_WORLD_SIZE"]
    if found["RANK"] >= processes or found["LOCAL_RANK"] >= local or processes % local:
        given = ", ".join(f"{name}={number}" for name, number in found.items())
        raise EanetError(f"{given} in the environment do not fit each other; start with torchrun")
    return processes, local


def in_own_process(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a call in a fresh process with its own peak memory; return or raise what it does.

    Each Ctrl-C or SIGTERM reaches the call as one Ctrl-C, however it was sent.

    Raises:
        NotStartedError: the process ended before the call began, and so would others.
        KeyboardInterrupt: once the call has ended after one of them.
        BrokenProcessPool: the process was killed, usually for lack of memory.
    """
    context = multiprocessing.get_context("spawn")
    is_stopped = False
    with ProcessPoolExecutor(1, mp_context=context, initializer=_detach) as process:
        try:
            pid = process.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise NotStartedError(
                "a process of its own ended before it began: it imports the main module again, so "
                'a script calls this under `if __name__ == "__main__":`'
            ) from error

        def pass_on() -> None:
            nonlocal is_stopped
            is_stopped = True
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)

        with when_interrupted(pass_on):
            work = process.submit(_interruptibly, partial(call, *args, **kwargs))
            try:
                result = work.result()
            except BrokenProcessPool:
                if not is_stopped:
                    raise
        if is_stopped:
            raise KeyboardInterrupt
        return result


def _detach() -> None:
    """Detach from the terminal, whose Ctrl-C the parent passes on, and end with the parent."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while still importing
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _interruptibly(call: Callable[[], T]) -> T:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return call()


def _end_with_parent() -> None:
    """Wait until the parent has ended, even if killed, then stop this process by SIGTERM."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
