"""What a server does with images: classify, explain, and decline when too many wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
from fastapi import Request

from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Pixels
from eanet.deploy.server.batching import Batcher
from eanet.deploy.server.images import count_pixels, decode
from eanet.deploy.server.schema import Answer, Card
from eanet.deploy.server.settings import AppSettings, Limits, RefusedError
from eanet.deploy.server.upload import Uploads
from eanet.device import trim_memory
from eanet.errors import EanetError, unknown_name
from eanet.pages.classifying import default_threshold
from eanet.version import __version__

MOST_EXPLANATIONS = 8  # that wait: each takes a second or more

Explain = Callable[[Predictor, Pixels, str, str | None], bytes]
"""Draws a picture (PNG): of a predictor, pixels, a name for the image, and the class to explain."""


class Service:
    """One model, and the requests that wait for it.

    Args:
        predictor: the model.
        settings: threshold and limits.
        explain: draws what an answer rests on.

    Raises:
        EanetError: the model's outputs are not finite.
    """

    def __init__(
        self, predictor: Predictor, settings: AppSettings, explain: Explain | None = None
    ) -> None:
        size = predictor.config.image_size
        predictor.classify([np.zeros((size, size, 3), np.uint8)])  # the first time takes longest
        self._predictor = predictor
        self._settings = settings
        self._threshold = (
            default_threshold(len(predictor.classes))
            if settings.threshold is None
            else settings.threshold
        )
        self._explain = explain
        self._uploads = Uploads(settings)
        self._answers = _Line(settings.max_waiting)
        self._pictures = _Line(MOST_EXPLANATIONS)
        self._batcher = Batcher(predictor, settings.pixels)
        self._painter = ThreadPoolExecutor(1, "eanet-explain")  # matplotlib draws one at a time

    @property
    def waiting(self) -> int:
        """The number of requests that wait for answers or pictures."""
        return self._answers.length + self._pictures.length

    def card(self, metrics: Mapping[str, float] | None) -> Card:
        """Describe the model and what is taken."""
        config, metadata = self._predictor.config, self._predictor.runtime.metadata
        return Card(
            name=config.name,
            classes=list(config.classes),
            image_size=config.image_size,
            parameters=metadata.get("parameters"),
            threshold=self._threshold,
            detects_unknown="unknown" in metadata,
            limits=Limits(**self._settings.model_dump(include=set(Limits.model_fields))),
            version=__version__,
            metrics=None if metrics is None else dict(metrics),
        )

    async def predict(self, request: Request, top: int) -> list[Answer]:
        """Classify the files of a request, in order.

        Raises:
            RefusedError: it is over a limit or malformed.
            EanetError: the model's outputs are not finite.
        """
        async with self._uploads.read(request, "files", self._settings.max_files) as uploads:
            with self._answers.turn():
                answers = await self._batcher.predict([upload.data for upload in uploads])
        return [
            Answer(image=upload.name, error=str(answer))
            if isinstance(answer, EanetError)
            else Answer.of(upload.name, answer, top, self._threshold)
            for upload, answer in zip(uploads, answers, strict=True)
        ]

    async def explain(self, request: Request, class_name: str | None) -> bytes:
        """Draw what the answer for the one file of a request rests on.

        Raises:
            RefusedError: as for `predict`; there is no such class; the image cannot be read.
        """
        classes = self._predictor.classes
        if class_name is not None and class_name not in classes:
            raise RefusedError(422, str(unknown_name("class", class_name, classes)))
        async with self._uploads.read(request, "file", 1) as ((name, data),):
            with self._pictures.turn():
                loop = asyncio.get_running_loop()
                draw = partial(self._draw, data, name, class_name)
                return await loop.run_in_executor(self._painter, draw)

    def _draw(self, data: bytes, name: str, class_name: str | None) -> bytes:
        assert self._explain is not None
        try:
            count_pixels(data, self._settings.pixels)
            pixels = decode(self._predictor, data)
        except EanetError as error:
            raise RefusedError(422, str(error)) from error
        trim_memory()  # the image may have been large
        shown = "".join(letter for letter in name if letter.isprintable())
        return self._explain(self._predictor, pixels, shown or "image", class_name)


class _Line:
    """Those who wait for one thing, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.length = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Stand in line until the block ends.

        Raises:
            RefusedError: the line is full.
        """
        if self.length >= self._most:
            raise RefusedError(503, "Too many others are waiting; try again in a moment.")
        self.length += 1
        try:
            yield
        finally:
            self.length -= 1
