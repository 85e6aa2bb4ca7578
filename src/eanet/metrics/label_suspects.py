"""Labels that are suspected of being wrong: confident learning.

Northcutt, Jiang and Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels",
arXiv 1911.00068. Only answers of models that have not been trained on the image tell anything: one
that has may have learned the wrong label by heart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelSuspect:
    """An image whose label is suspected.

    Attributes:
        index: of the image.
        label: the class that it is said to be of.
        suggested: the class that the model takes it for.
        label_probability: of the label, as a fraction.
        suggested_probability: of the suggested class.
    """

    index: int
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float


def find_label_suspects(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> tuple[LabelSuspect, ...]:
    """Return the images whose label is suspected, the most probable first.

    An image counts for a class that is at least as probable as it is on average for the images
    labelled so; the bar is therefore low for a class that the model is rarely sure of. Suspects are
    those that count for another class above all, and are answered by another class than the label.
    They are ranked by how much more probable the answer is.

    Args:
        probabilities: of models that have not seen the image, (n, K).
        labels: the given classes, (n,).
        classes: the K names.
    """
    counts = np.bincount(labels, minlength=len(classes))
    own = probabilities[np.arange(len(labels)), labels]  # (n,)
    sums = np.bincount(labels, weights=own, minlength=len(classes))
    # No image is confidently of a class that none is labelled with.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)  # (K,)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)  # (n, K)
    best, answer = confident.argmax(axis=1), probabilities.argmax(axis=1)
    is_suspect = (confident.max(axis=1) >= 0) & (best != labels) & (answer != labels)
    found = np.flatnonzero(is_suspect)
    margins = probabilities[found, answer[found]] - own[found]
    return tuple(
        LabelSuspect(
            i,
            classes[labels[i]],
            classes[answer[i]],
            float(own[i]),
            float(probabilities[i, answer[i]]),
        )
        for i in found[np.argsort(-margins, kind="stable")].tolist()
    )
