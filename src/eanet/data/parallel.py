"""Map a function over many items: on all cores, in order, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from eanet.threads import available_cpus

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 128
MOST_THREADS = 32


def in_parallel(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int | None = None,
    ahead: int = AHEAD,
) -> Generator[R]:
    """Yield ``function(item)`` for all items in order, computed ahead of the reader by threads.

    Threads suit functions that release the interpreter lock, as Pillow does while decoding.

    Args:
        function: called from several threads at a time.
        items: consumed as needed.
        workers: number of threads; by default one for each CPU that this process may use, but at
            most 32.
        ahead: how many results may wait for the reader.
    """
    count = workers or min(available_cpus(), MOST_THREADS)
    threads = ThreadPoolExecutor(count)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
