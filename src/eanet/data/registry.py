"""The registry of named data sets: registering a loader is all that a new one needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eanet.config import DataSettings
from eanet.data.splits import SourceSplits

Loader = Callable[[DataSettings], SourceSplits]
"""Returns the splits that a data set provides, at its own size or the one in the settings."""


class Default(NamedTuple):
    """A recommended value of one setting, and the reason in a few words."""

    setting: str
    value: str | int | None
    reason: str


@dataclass(frozen=True)
class NamedDataset:
    """A named data set.

    Attributes:
        name: what users write.
        summary: one line.
        image_size: height and width of its images in pixels.
        defaults: the settings recommended for it, the same on every machine, so that results are
            comparable; with a model and a recipe.
        load: the loader.
    """

    name: str
    summary: str
    image_size: int
    defaults: tuple[Default, ...]
    load: Loader


NAMED_DATASETS: dict[str, NamedDataset] = {}


def register_dataset(
    name: str, summary: str, *, image_size: int, defaults: Sequence[Default]
) -> Callable[[Loader], Loader]:
    """Register a loader under the name of its data set; see `NamedDataset`."""

    def register(load: Loader) -> Loader:
        NAMED_DATASETS[name] = NamedDataset(name, summary, image_size, tuple(defaults), load)
        return load

    return register
