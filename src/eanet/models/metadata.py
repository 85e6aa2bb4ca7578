"""The metadata of a model's file, checked: what it needs to be built, and what else it says."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eanet.errors import EanetError
from eanet.parsing import first_error

REQUIRED = {"name", "image_size", "in_channels", "classes", "settings"}


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
