"""Images that wait at the same time are classified together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

from eanet.deploy.prediction import Prediction
from eanet.deploy.predictor import BATCH_SIZE, Predictor
from eanet.deploy.server.images import count_pixels, decode
from eanet.device import trim_memory
from eanet.errors import EanetError

LARGE = 16_000_000  # pixels: decoding such an image may take seconds and 1 GB

Answer = Prediction | EanetError


class _Entry(NamedTuple):
    """An image that waits, and its answer."""

    data: bytes
    future: Future[Answer]


class Batcher:
    """Decodes and classifies images in threads of its own, as many at once as are waiting.

    Nothing waits for a batch to fill: while the threads compute, images gather, and the next free
    thread takes its share of them. A lone image is therefore answered at once. Images above `LARGE`
    have one thread for themselves, so that they hold up nobody else.

    Args:
        predictor: computes in as many threads, on one core each, as it has.
        most_pixels: of an image; a larger one is answered with an error.
    """

    def __init__(self, predictor: Predictor, most_pixels: int) -> None:
        self._predictor = predictor
        self._most_pixels = most_pixels
        self._threads = predictor.runtime.threads if predictor.device == "cpu" else 1
        self._waiting: deque[_Entry] = deque()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(self._threads, "eanet-serve")
        self._large = ThreadPoolExecutor(1, "eanet-serve-large")

    async def predict(self, images: Sequence[bytes]) -> list[Answer]:
        """Classify image files, all classes of each, in order; one that is unreadable is an error.

        Raises:
            EanetError: the model's outputs are not finite.
        """
        entries = [_Entry(image, Future()) for image in images]
        self._waiting.extend(entries)
        for _ in entries:
            self._pool.submit(self._answer_share)
        return await asyncio.gather(*(asyncio.wrap_future(entry.future) for entry in entries))

    def _answer_share(self) -> None:
        """Answer this thread's share of what is waiting: nothing, if others have answered it."""
        with self._lock:
            share = min(BATCH_SIZE, -(-len(self._waiting) // self._threads))
            batch = [self._waiting.popleft() for _ in range(share)]
        small = []
        for entry in batch:
            if not entry.future.set_running_or_notify_cancel():
                continue
            with _errors_to(entry):
                if count_pixels(entry.data, self._most_pixels) > LARGE:
                    self._large.submit(self._answer_large, entry)
                else:
                    small.append(entry)
        self._answer(small)

    def _answer_large(self, entry: _Entry) -> None:
        self._answer([entry])
        trim_memory()  # else the C library keeps a gigabyte for the next one

    def _answer(self, batch: Sequence[_Entry]) -> None:
        good, pixels = [], []
        for entry in batch:
            with _errors_to(entry):
                pixels.append(decode(self._predictor, entry.data))
                good.append(entry)
        if not good:
            return
        try:
            top = len(self._predictor.classes)
            predictions = self._predictor.classify(pixels, top, on_one_core=True)
        except BaseException as error:
            for entry in good:
                entry.future.set_exception(error)
        else:
            for entry, prediction in zip(good, predictions, strict=True):
                entry.future.set_result(prediction)


@contextmanager
def _errors_to(entry: _Entry) -> Iterator[None]:
    """Make what is wrong with one image its own answer."""
    try:
        yield
    except EanetError as error:
        entry.future.set_result(error)
    except BaseException as error:
        entry.future.set_exception(error)
