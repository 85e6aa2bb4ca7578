"""A function over many things: on all cores, in order, with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 128
MOST_THREADS = 32


def in_parallel(
    function: Callable[[T], R],
    things: Iterable[T],
    workers: int | None = None,
    ahead: int = AHEAD,
) -> Generator[R]:
    """``function`` of each thing, in their order, computed by threads ahead of the reader.

    Threads suit what lets go of the interpreter's lock, as Pillow does while it decodes.

    Args:
        function: called from several threads at a time.
        things: taken as they are needed.
        workers: how many threads; one for each core, but no more than 32, unless given.
        ahead: how many results may wait for their reader.
    """
    threads = ThreadPoolExecutor(workers or min(os.cpu_count() or 1, MOST_THREADS))
    waiting: deque[Future[R]] = deque()
    try:
        for thing in things:
            waiting.append(threads.submit(function, thing))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
