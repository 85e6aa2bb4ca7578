"""What suits the training images of a set: how they become squares, padding and levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eanet.config import DataSettings, Fit
from eanet.data.cache import Details, cached, fingerprint
from eanet.data.evenly import evenly
from eanet.data.fit import choose_fit, mean_colour
from eanet.data.formats import decoders
from eanet.data.layout import Layout
from eanet.data.levels import read_depth, used_levels
from eanet.data.parallel import in_parallel
from eanet.data.statistics import image_statistics
from eanet.files import NoCacheError
from eanet.model_files.preprocessing import Preprocessing

SAMPLE = 1000  # files whose levels are read, spread evenly over all


def choose_preprocessing(layout: Layout, settings: DataSettings) -> Preprocessing:
    """Return what suits the training images, as far as the settings leave it open.

    It depends on the files and the settings alone, and is kept in the cache.
    """
    train = layout.splits["train"]
    files = [file for of_class in train.images.values() for file in of_class]
    fit = settings.fit or choose_fit(image_statistics(layout))[0]

    def build(_: Path) -> Details:
        found = _measure(files, fit, settings.levels)
        return {"fill": found.fill, "levels": found.levels}

    state = fingerprint(files, train.place, settings.levels, decoders())
    try:
        return cached(
            train.place, f"preprocessing {fit}", state, build, lambda _, d: Preprocessing(fit, **d)
        )
    except NoCacheError:  # which is told when the images are read
        return _measure(files, fit, settings.levels)


def _measure(files: Sequence[Path], fit: Fit, levels: tuple[float, float] | None) -> Preprocessing:
    if levels is None:
        depths = in_parallel(read_depth, evenly(files, SAMPLE))
        levels = used_levels(depth for depth in depths if depth is not None)
    found = Preprocessing(fit, levels=levels)
    return Preprocessing(fit, mean_colour(files, found), levels) if fit == "pad" else found
