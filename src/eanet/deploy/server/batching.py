"""Images that wait at the same time are classified together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from eanet.deploy.prediction import Prediction
from eanet.deploy.predictor import BATCH_SIZE, Predictor
from eanet.deploy.server.images import decode
from eanet.errors import EanetError

Answer = Prediction | EanetError


class Batcher:
    """Decodes and classifies images in threads of its own, as many at once as are waiting.

    Nothing waits for a batch to fill: while the threads compute, images gather, and the next free
    thread takes its share of them. A lone image is therefore answered at once.

    Args:
        predictor: computes in as many threads, on one core each, as it has.
        most_pixels: of an image; a larger one is answered with an error.
    """

    def __init__(self, predictor: Predictor, most_pixels: int) -> None:
        self._predictor = predictor
        self._most_pixels = most_pixels
        self._threads = predictor.runtime.threads if predictor.device == "cpu" else 1
        self._waiting: deque[tuple[bytes, Future[Answer]]] = deque()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(self._threads, "eanet-serve")

    async def predict(self, images: Sequence[bytes]) -> list[Answer]:
        """Classify image files, all classes of each, in order; one that is unreadable is an error.

        Raises:
            EanetError: the model's outputs are not finite.
        """
        futures: list[Future[Answer]] = [Future() for _ in images]
        self._waiting.extend(zip(images, futures, strict=True))
        for _ in images:
            self._pool.submit(self._answer_share)
        return await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))

    def _answer_share(self) -> None:
        """Answer this thread's share of what is waiting: nothing, if others have answered it."""
        with self._lock:
            share = min(BATCH_SIZE, -(-len(self._waiting) // self._threads))
            batch = [self._waiting.popleft() for _ in range(share)]
        batch = [entry for entry in batch if entry[1].set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            answers = self._answer([data for data, _ in batch])
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                future.set_result(answer)

    def _answer(self, images: Sequence[bytes]) -> list[Answer]:
        decoded = [decode(self._predictor, data, self._most_pixels) for data in images]
        good = [pixels for pixels in decoded if not isinstance(pixels, EanetError)]
        top = len(self._predictor.classes)
        predictions = iter(self._predictor.classify(good, top, on_one_core=True))
        return [d if isinstance(d, EanetError) else next(predictions) for d in decoded]
