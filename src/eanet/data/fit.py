"""How images become squares: which way suits a set, and the colour of its padding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.config import Fit
from eanet.data.decode import UnreadableImageError, decode_image
from eanet.data.evenly import evenly
from eanet.data.parallel import in_parallel
from eanet.data.passing import raise_passing
from eanet.data.statistics import ImageStatistics
from eanet.model_files.preprocessing import Preprocessing

MOST_HALVED = 0.25  # share of images of which a crop may leave no more than half
SAMPLE = 100  # files whose colours are averaged
THUMBNAIL = 16  # pixels to a side; the mean colour needs no more


def choose_fit(images: ImageStatistics) -> tuple[Fit, str]:
    """Return the way that suits a set, and why: ``pad`` where a crop would cut off too much."""
    if images.halved > MOST_HALVED:
        cut = f"{100 * images.halved:.0f} % of the images"
        return "pad", f"a crop to the central square would leave at most half of {cut}"
    if not images.cropped:
        return "crop", "the images are square"
    return "crop", f"cuts off {100 * images.cropped:.0f} % of the median image; pad keeps it"


def mean_colour(files: Sequence[Path], preprocessing: Preprocessing) -> tuple[int, int, int]:
    """Return the mean colour, RGB, of some of the files, spread evenly over all.

    Every image counts the same, whatever its size. Unreadable ones are left out.
    """
    squash = Preprocessing(fit="squash", levels=preprocessing.levels)

    def colour(file: Path) -> NDArray[np.float64] | None:
        try:
            return np.asarray(decode_image(file, THUMBNAIL, squash).mean(axis=(0, 1)))  # (3,)
        except UnreadableImageError as error:
            raise_passing(file, error.__cause__)
            return None

    colours = [c for c in in_parallel(colour, evenly(files, SAMPLE)) if c is not None]
    if not colours:
        return preprocessing.fill
    red, green, blue = np.rint(np.mean(colours, axis=0)).astype(int).tolist()
    return red, green, blue
