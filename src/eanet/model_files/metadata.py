"""The metadata of a model's file, checked: what it needs to be built, and what else it says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eanet.errors import EanetError
from eanet.model_files.config import ModelConfig
from eanet.model_files.preprocessing import Preprocessing
from eanet.parsing import first_error

KEY = "eanet"  # of the entry of a file that has them, as JSON
LARGEST_SIDE = 4096  # of images, in pixels
REQUIRED = {"name", "image_size", "in_channels", "classes", "settings"}


class _DetectorFit(BaseModel):
    """As `eanet.models.unknown.DetectorFit`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    false_rejections: float
    train_images: int
    validation_images: int


class _Metadata(BaseModel):
    """Types of the known entries; others are kept as they are."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    image_size: int
    in_channels: int
    classes: list[str] = Field(min_length=1)
    settings: dict[str, bool | int | float | str | None]
    preprocessing: dict[str, Any] = {}
    training: dict[str, Any] = {}
    parameters: int = 0
    views: int = 1
    unknown: _DetectorFit | None = None


def check_metadata(content: Any, where: str) -> dict[str, Any]:
    """Return what `model_metadata` gave, once it has passed through a file.

    Args:
        content: as parsed from JSON.
        where: the file, for errors.

    Raises:
        EanetError: it lacks an entry, or one has another type.
    """
    if not isinstance(content, dict) or not content.keys() >= REQUIRED:
        raise EanetError(f"{where} was not written by eanet: it does not say which model it holds")
    try:
        return _Metadata.model_validate(content).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise EanetError(
            f"{where} holds a model that this version of eanet cannot build ({first_error(error)})"
        ) from error


def parse_config(metadata: Mapping[str, Any], where: str) -> ModelConfig:
    """Return the configuration of a model whose network is not built.

    Args:
        metadata: as `check_metadata` returns it.
        where: the file, for errors.

    Raises:
        EanetError: its images are larger than any model's here.
    """
    fields = {name: metadata[name] for name in REQUIRED}
    if not 1 <= fields["image_size"] <= LARGEST_SIDE:
        raise EanetError(f"{where}: image_size={fields['image_size']}: 1 to {LARGEST_SIDE} pixels")
    fields |= {"preprocessing": Preprocessing.parse(metadata.get("preprocessing", {}))}
    return ModelConfig(**fields | {"classes": tuple(fields["classes"])})


def mean_colour(metadata: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the colour that a model's normalisation makes 0, one number for each channel.

    Args:
        metadata: as `check_metadata` returns it.

    Raises:
        EanetError: it is not there.
    """
    with suppress(TypeError, KeyError, ValueError):
        mean = tuple(float(value) for value in metadata["normalization"]["mean"])
        if len(mean) == metadata["in_channels"] and all(map(math.isfinite, mean)):
            return mean
    raise EanetError("the model's file does not say how it normalises images")
