"""What is done to an image before its pixels reach a model: part of the model, like its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field

from eanet.config import Fit, Levels
from eanet.settings import Settings

_Level = Annotated[int, Field(ge=0, le=255)]


@dataclass(frozen=True)
class Preprocessing:
    """How images of any size and depth become square 8-bit RGB.

    Attributes:
        fit: how an image becomes a square. ``crop``: the shorter side is fitted and the centre
            kept; ``pad``: the longer side is fitted and the rest filled; ``squash``: both sides are
            fitted.
        fill: colour of the padding, RGB.
        levels: the values of deep grey images (integers of more than 8 bits, floats) that become
            black and white; values outside are clipped. None: integers are taken as 16-bit, floats
            as 0..1 or 0..255, and an image outside these ranges is scaled by its own.

    Raises:
        EanetError: a value is not allowed.
    """

    fit: Fit = "crop"
    fill: tuple[int, int, int] = (128, 128, 128)
    levels: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        checked = _Checked.parse(vars(self), "preprocessing")
        for name in _Checked.model_fields:
            object.__setattr__(self, name, getattr(checked, name))

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` gave; what is missing has its default.

        Raises:
            EanetError: an unknown name, or a value that is not allowed.
        """
        return cls(**_Checked.parse(values, "preprocessing").model_dump())


class _Checked(Settings):
    """The same with types and ranges that are checked."""

    fit: Fit = "crop"
    fill: tuple[_Level, _Level, _Level] = (128, 128, 128)
    levels: Levels | None = None


DEFAULT = Preprocessing()
"""Of models whose file says nothing about it."""
