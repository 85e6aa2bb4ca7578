"""The handwritten digits that ship with scikit-learn: real images without a download."""

from __future__ import annotations

import numpy as np

from eanet.config import DataSettings
from eanet.data.imageset import ImageSet
from eanet.data.registry import Default, register_dataset
from eanet.data.splits import SourceSplits


@register_dataset(
    "digits",
    "1,797 handwritten digits, 8 x 8, ships with scikit-learn",
    image_size=8,
    defaults=(
        Default("model", "keras_eanet", "the network that this project began with"),
        Default("recipe", "default", "light augmentation, so that digits stay digits"),
    ),
)
def load_digits(settings: DataSettings) -> SourceSplits:
    """Load 1,797 grey images of 8 x 8 pixels in 10 classes, without predefined splits."""
    # A heavy import that no other data set needs.
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (n, 8, 8), from 0..16
    images = np.repeat(grey[..., None], 3, axis=-1)  # (n, 8, 8, 3)
    classes = tuple(str(name) for name in digits.target_names)
    images_of_digits = ImageSet(images, digits.target.astype(np.int64), classes)
    return SourceSplits(images_of_digits, mirrorable=False)
