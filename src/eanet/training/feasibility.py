"""Settings that each make sense but cannot work for these images and this model."""

from __future__ import annotations

from torch import nn

from eanet.config import ResolvedSettings
from eanet.data.splits import Dataset
from eanet.errors import WrongArgumentError
from eanet.models import Classifier
from eanet.models.views import MIRRORED


def check_feasible(
    settings: ResolvedSettings, dataset: Dataset, model: Classifier, processes: int = 1
) -> None:
    """Refuse a training that would run, but to no purpose.

    Raises:
        EanetError: batch normalisation of single images, whose statistics are those of no other
            image; attention among a single token; patience without validation images;
            mirrored views of images that the model has not seen mirrored.
    """
    normalizes = any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules())
    if normalizes and settings.batch_size <= processes:
        raise WrongArgumentError(
            f"batch_size={settings.batch_size}: {model.config.name} normalises over a batch, and "
            f"what it learns from single images fails on others; use {2 * processes} or more"
        )
    if model.embedding.grid == 1:
        size = model.config.image_size
        raise WrongArgumentError(
            f"image_size={size}: images of {size} x {size} pixels are a single token, with no "
            "other to attend to; use larger ones"
        )
    if settings.views in MIRRORED and not settings.flip:
        raise WrongArgumentError(
            f"views={settings.views}: mirrored views are of no use to a model that is not trained "
            "on mirrored images; use --views 5, or --flip"
        )
    if settings.patience is not None and dataset.validation is None:
        raise WrongArgumentError(
            f"patience={settings.patience}: without validation images, nothing says when to stop; "
            "use --validation-fraction or leave --patience out"
        )
