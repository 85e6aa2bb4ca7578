from __future__ import annotations

import numpy as np

from eanet.config import DataSettings
from eanet.data.datasets.digits import load_digits


def test_the_digits_are_grey_images_of_the_whole_range():
    splits = load_digits(DataSettings())
    images = splits.train
    assert images.images.shape == (1797, 8, 8, 3)
    assert images.classes == tuple("0123456789")
    assert images.counts().sum() == 1797
    assert images.counts().min() > 170
    assert (splits.validation, splits.test, splits.notes) == (None, None, ())
    assert np.array_equal(images.images[..., 0], images.images[..., 1])
    assert np.array_equal(images.images[..., 0], images.images[..., 2])
    assert np.array_equal(
        np.unique(images.images), np.rint(np.arange(17) * 255 / 16).astype(np.uint8)
    )
    assert images.labels[:4].tolist() == [0, 1, 2, 3]
    assert images.images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]  # 5 13 9 1
