"""Named settings that are checked when read, with one-line errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic.fields import FieldInfo

from eanet.errors import WrongArgumentError, unknown_name
from eanet.files import user_path


class Settings(BaseModel):
    """Checked and frozen settings; an unknown name is an error, never ignored."""

    # Validators are built when first needed: not by `eanet --help`, where they take a tenth.
    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return user_path(value) if isinstance(value, Path) else value

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Check ``values``; strings are converted to numbers and booleans where needed.

        Args:
            values: values by name of the setting; "none" unsets one.
            where: source to name in errors, such as the file of the values.

        Raises:
            EanetError: one line: which setting, what is wrong, what is expected.
        """
        source = f"{where}: " if where else ""
        for name in values:
            if name not in cls.model_fields:
                raise WrongArgumentError(
                    f"{source}{unknown_name('setting', str(name), cls.model_fields)}"
                )
        try:
            return cls.model_validate(
                {name: _plain(value, cls.model_fields[name]) for name, value in values.items()}
            )
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            if name not in values:
                raise WrongArgumentError(f"{source}{name} is missing") from error
            reason = " or ".join(  # one for each type that the setting allows
                e["msg"].lower().removeprefix("input ")
                for e in error.errors()
                if e["loc"][0] == name
            )
            given = shorten(str(values[name]), 80, placeholder="...")
            raise WrongArgumentError(f"{source}{name}={given}: {reason}") from error


def _plain(value: Any, field: FieldInfo) -> Any:
    """``None`` for "none" where allowed; booleans as text, so that none is taken for a number.

    That text is "on" or "off", which YAML reads as booleans, where a setting has these as choices.
    Paths become text where a setting takes a name or a path; what stands for one, such as the
    result of a training, becomes one.
    """
    annotation = field.annotation
    if isinstance(value, os.PathLike):
        value = Path(value)
    if isinstance(value, Path) and Path not in (annotation, *get_args(annotation)):
        return str(value)
    if isinstance(value, bool):
        switch = "on" if value else "off"
        return switch if switch in get_args(annotation) else str(value).lower()
    unsets = value == "none" and type(None) in get_args(annotation)
    return None if unsets else value
