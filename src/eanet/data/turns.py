"""Large images take turns, so that many threads together need no more memory than a few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Turns:
    """Admits work while the sum of its sizes stays within a limit; what is larger goes alone.

    Args:
        limit: the sum.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._used, self._changed = limit, 0, Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait for a turn, and hold it for as long as the block lasts."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + size <= self._limit)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


PIXELS = Turns(1 << 27)
"""Of images while they are decoded, by all threads together: 134 million pixels."""
