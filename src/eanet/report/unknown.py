"""What a model makes of pictures of things that it does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.console import notice
from eanet.data.find import find_images
from eanet.deploy.module import RuntimeModule
from eanet.deploy.prediction import Prediction
from eanet.deploy.predictor import Predictor
from eanet.errors import EanetError
from eanet.metrics.intervals import share_with_interval
from eanet.models import Classifier

MOST_PICTURES = 10_000
SHOWN = 12


@dataclass(frozen=True)
class OtherPictures:
    """Pictures of nothing that a model knows, and what it answers.

    Attributes:
        name: of their folder.
        files: the n files that could be read.
        predictions: one for each.
        nearest: pixels, as the model sees them, of those that it finds nearest to what it knows,
            by their index, nearest first; at most `SHOWN`.
    """

    name: str
    files: tuple[Path, ...]
    predictions: tuple[Prediction, ...]
    nearest: Mapping[int, NDArray[np.uint8]] = field(repr=False)

    @property
    def distance(self) -> NDArray[np.float32]:
        """Of each picture from the training images, (n,)."""
        return _distance(self.predictions)

    def metrics(self, known: NDArray[np.float32]) -> dict[str, float | int]:
        """Return the share that is rejected, and how well the distance separates, as AUROC.

        Args:
            known: distances of images of known classes, (m,).
        """
        from sklearn.metrics import roc_auc_score

        distance = self.distance
        is_unknown = np.repeat([False, True], [len(known), len(distance)])
        return {
            "unknown_images": len(distance),
            **share_with_interval("unknown_rejected", distance > 1),
            "unknown_auroc": float(roc_auc_score(is_unknown, np.append(known, distance))),
        }


def look_at(where: Path, model: Classifier | RuntimeModule, device: str) -> OtherPictures:
    """Let a model with a detector classify pictures of things that it does not know.

    Args:
        where: an image, a folder or an archive; of more than 10,000 images, as many are taken.
        model: with a detector.
        device: where to compute.

    Raises:
        EanetError: there is no such place, or no image in it can be read.
    """
    files = find_images([str(where)])
    if len(files) > MOST_PICTURES:
        notice(f"{where} has {len(files):,} images; {MOST_PICTURES:,} of them, evenly, are used")
        files = [files[i * len(files) // MOST_PICTURES] for i in range(MOST_PICTURES)]
    read: list[tuple[Path, Prediction]] = []
    predictor = Predictor(model if isinstance(model, Classifier) else model.runtime, device)
    with closing(predictor.predict_files(files, top=1)) as results:
        for file, result in results:
            if isinstance(result, EanetError):
                notice(f"{result}; left out")
            else:
                read.append((file, result))
    if not read:
        raise EanetError(f"no image of {where} can be read")
    paths, predictions = zip(*read, strict=True)
    order = np.argsort(_distance(predictions), kind="stable")[:SHOWN].tolist()
    nearest = {index: predictor.decode(paths[index]) for index in order}
    return OtherPictures(where.name, paths, predictions, nearest)


def _distance(predictions: Sequence[Prediction]) -> NDArray[np.float32]:
    return np.array([prediction.distance for prediction in predictions], dtype=np.float32)
