"""Ctrl-C and SIGTERM as a request to stop after the step under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether a stop has been requested."""

    requested = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request; a second one interrupts at once."""
    request = StopRequest()

    def ask() -> None:
        if request.requested:
            raise KeyboardInterrupt
        request.requested = True

    with when_interrupted(ask):
        yield request


@contextmanager
def when_interrupted(call: Callable[[], None]) -> Iterator[None]:
    """Run ``call`` on every Ctrl-C and SIGTERM, in place of the usual handlers.

    Does nothing outside the main thread, where Python allows no signal handlers.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        call()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
