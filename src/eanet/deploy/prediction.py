"""From what a model computes to what it says, in plain NumPy, whatever it was computed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eanet.errors import NonFiniteOutputError
from eanet.pages.notebook import show


class Outputs(NamedTuple):
    """What a model computes of a batch of B images.

    Attributes:
        logits: (B, K).
        distance: from the images that the model was trained on, (B,); above 1, an image is unlike
            them. None if the model has no `eanet.models.unknown.UnknownDetector`.
    """

    logits: NDArray[np.float32]
    distance: NDArray[np.float32] | None = None

    @classmethod
    def joined(cls, parts: Sequence[Outputs]) -> Outputs:
        """Return what was computed of a batch in one or more parts."""
        distances = [part.distance for part in parts if part.distance is not None]
        logits = np.concatenate([part.logits for part in parts])
        return cls(logits, np.concatenate(distances) if distances else None)


@dataclass(frozen=True, repr=False)
class Prediction:
    """The most probable classes of an image, best first.

    Attributes:
        classes: their names.
        probabilities: of these classes, as if the image were of one of the model's classes.
        distance: from the images that the model was trained on, in units of the threshold that was
            chosen on validation images; None if the model does not measure it.

    Examples:
        >>> prediction = eanet.Prediction(("bee", "ant"), (0.9, 0.1), distance=1.2)
        >>> prediction
        Prediction(bee 90.0%, ant 10.0%, unknown: distance 1.20)
        >>> prediction.top1, prediction.is_unknown, prediction.above(0.95).top1
        ('bee', True, None)
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    distance: float | None = None

    @property
    def top1(self) -> str | None:
        """The most probable class; None if `above` left none."""
        return self.classes[0] if self.classes else None

    @property
    def is_unknown(self) -> bool:
        """Whether the image is unlike those that the model was trained on: "I don't know".

        False if the model does not measure it.
        """
        return self.distance is not None and self.distance > 1

    def __repr__(self) -> str:
        return f"Prediction({', '.join([*self.answers, *self.remarks])})"

    def _repr_html_(self) -> str:
        bars = zip(self.classes, self.probabilities, strict=True)
        return show(self.top1 or "not sure", bars=bars, notes=self.remarks)

    @property
    def answers(self) -> list[str]:
        """The classes with their probabilities, best first."""
        pairs = zip(self.classes, self.probabilities, strict=True)
        return [f"{name} {probability:.1%}" for name, probability in pairs]

    @property
    def remarks(self) -> list[str]:
        """That the image is unlike those that the model was trained on, if it is."""
        return [f"unknown: distance {self.distance:.2f}"] if self.is_unknown else []

    def above(self, threshold: float) -> Prediction:
        """Keep only the classes at least as probable as ``threshold``, possibly none."""
        count = sum(probability >= threshold for probability in self.probabilities)
        return Prediction(self.classes[:count], self.probabilities[:count], self.distance)


def decide(outputs: Outputs, classes: Sequence[str], top: int = 5) -> list[Prediction]:
    """Return a prediction for each image of a batch.

    Args:
        outputs: of the model for the B images.
        classes: the K names.
        top: how many classes to name.

    Raises:
        EanetError: the outputs are not finite.
    """
    logits = outputs.logits.astype(np.float32)  # (B, K)
    distances = [None] * len(logits) if outputs.distance is None else outputs.distance.tolist()
    if not np.isfinite(logits).all():
        raise NonFiniteOutputError
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    best = np.take_along_axis(probabilities, order, axis=1)
    return [
        Prediction(tuple(classes[i] for i in indices), tuple(values), distance)
        for indices, values, distance in zip(order.tolist(), best.tolist(), distances, strict=True)
    ]
