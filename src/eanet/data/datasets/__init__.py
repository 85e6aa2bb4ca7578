"""The named data sets: every module of this package registers its own."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from eanet.data.registry import NAMED_DATASETS, NamedDataset

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)


def named_datasets() -> dict[str, NamedDataset]:
    """Return every named data set by its name, those of the smallest images first."""
    by_size = sorted(NAMED_DATASETS.values(), key=lambda dataset: dataset.image_size)
    return {dataset.name: dataset for dataset in by_size}
