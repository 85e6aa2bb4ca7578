"""Findings: what about a whole set could make a result worse, or look better, than it is."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What was found, and the setting that changes it.

    Attributes:
        text: what was found.
        setting: whoever gives this setting has decided and is not told again; empty: always told.
        remedy: what to do, such as the option with a value.
    """

    text: str
    setting: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"
