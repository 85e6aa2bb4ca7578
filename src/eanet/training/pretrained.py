"""Trained models that a run begins with (fine-tuning) or learns from (distillation)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from eanet.console import notice
from eanet.data.record import ImageRecord
from eanet.errors import EanetError
from eanet.model_files.find import bundled_models, find_model, locate_model, model_digest
from eanet.models import Classifier, adapt_weights, load_model
from eanet.training.run_directory import RunDirectory

NAMED = 5
REGULARIZATION = ("dropout", "drop_path")  # model settings that each run sets for itself


@dataclass(frozen=True)
class Pretrained:
    """A trained model, loaded once.

    Attributes:
        where: what `load_model` takes, valid from any folder.
        model: in evaluation mode, on the CPU; not to be changed.
        digest: SHA-256 of its file.
        images: what it was trained and judged on, if it comes from a run that recorded it.
    """

    where: str
    model: Classifier
    digest: str
    images: ImageRecord | None = None

    @classmethod
    def load(cls, where: str | Path) -> Self:
        """Load a model; arguments as for `load_model`.

        Raises:
            EanetError: there is no such model, or it does not take RGB images.
        """
        file = find_model(where)
        model = load_model(file)
        if (channels := model.config.in_channels) != 3:
            raise EanetError(f"{where} takes {channels}-channel images, not RGB; use another model")
        images = RunDirectory(file.parent).read_images()
        return cls(locate_model(where), model, model_digest(file), images)


def load_weights(model: Classifier, init: Pretrained) -> None:
    """Load trained weights as `adapt_weights` does, and say so.

    Args:
        model: model with fresh weights, for its own classes and image size.
        init: the trained model.
    """
    kept = adapt_weights(init.model, model)
    grid, size, classes = model.embedding.grid, init.model.config.image_size, init.model.classes
    new = [name for name in model.classes if name not in kept]
    if not kept:
        head = "a new head"
    elif not new:
        head = "its head"
    else:
        head = f"its head for {_some(kept)} and a new one for {_some(new)}"
    notice(
        f"starts from the weights of {init.where} ({size} x {size} pixels, {len(classes)} "
        f"classes), with {head}; {grid} x {grid} tokens"
    )
    lost = [name for name in classes if name not in kept]
    if kept and lost and init.where not in bundled_models():  # whose classes nobody expects back
        notice(
            f"the new model will not know {_some(lost)}, of which there are no images here: "
            f"{init.where} does"
        )


def _some(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{len(names)} classes"
    return ", ".join(names)
