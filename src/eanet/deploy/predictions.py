"""The predictions of several images, with their pictures where a notebook shows them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eanet.data.arrays import decode_for
from eanet.deploy.prediction import Prediction
from eanet.errors import EanetError
from eanet.model_files.config import ModelConfig
from eanet.pages.images import SheetImage
from eanet.pages.notebook import MOST_IMAGES, show


class Predictions(list[Prediction]):
    """A list of `Prediction`, one for each image, in the order of the images.

    A notebook shows the first images, each with its answer and probability.

    Args:
        predictions: one for each image.
        images: the first images, as they were given, for a notebook.
        config: of the model.
    """

    def __init__(
        self, predictions: Iterable[Prediction], images: Sequence[Any], config: ModelConfig
    ) -> None:
        super().__init__(predictions)
        # A file that was open may be closed or read by now.
        self._images = [None if hasattr(image, "read") else image for image in images]
        self._config = config

    def _repr_html_(self) -> str:
        shown = zip(self, self._images[:MOST_IMAGES], strict=False)
        sheet = [self._picture(number, *pair) for number, pair in enumerate(shown)]
        pictures = [picture for picture in sheet if picture is not None]
        title = f"{len(self):,} prediction{'s' * (len(self) != 1)} of {self._config.name}"
        more = len(self) - len(pictures)
        notes = [f"and {more:,} more"] if more and pictures else []
        if not pictures:
            notes = [repr(prediction) for prediction in self[:MOST_IMAGES]]
        return show(title, sheets={"": pictures}, notes=notes)

    def _picture(self, number: int, prediction: Prediction, image: Any) -> SheetImage | None:
        if image is None:
            return None
        try:
            pixels = decode_for(self._config, image)
        except (EanetError, OSError):  # it was there when it was classified
            return None
        is_file = isinstance(image, str | os.PathLike)
        name = Path(os.fspath(image)).name if is_file else f"image {number}"
        best, *others = [*prediction.answers, *prediction.remarks] or ["not sure"]
        return SheetImage.of(
            pixels,
            name=name,
            kind="other",
            answer=prediction.top1 or "not sure",
            confidence=prediction.probabilities[0] if prediction.probabilities else None,
            note=", ".join(others[:3]),
            description=f"{name}: {best}",
        )
