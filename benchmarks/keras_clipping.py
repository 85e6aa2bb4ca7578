"""What the Keras example's augmentation does to normalised pixels, shown in Keras itself.

The example normalises first; `RandomContrast` then clips to its ``value_range``, 0..255, but only
in training. Photographs that come with scikit-learn, cut into tiles of 32 x 32, pass through the
two layers in both orders, in training and in evaluation.

    pip install keras
    python -m benchmarks.keras_clipping
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

Array = NDArray[np.float32]


def photographs(size: int = 32) -> Array:
    """Return all tiles of two photographs, raw pixels ``(n, size, size, 3)``."""
    tiles = [
        image[top : top + size, left : left + size]
        for image in load_sample_images().images
        for top in range(0, image.shape[0] - size + 1, size)
        for left in range(0, image.shape[1] - size + 1, size)
    ]
    return np.stack(tiles).astype(np.float32)


def main() -> None:
    """Print the table and the factors drawn."""
    keras.utils.set_random_seed(0)
    images = photographs()
    normalization = keras.layers.Normalization()
    normalization.adapt(images)
    contrast = keras.layers.RandomContrast(0.1)
    orders = {
        "normalise, then augment (the example)": [normalization, contrast],
        "augment, then normalise (the fix)": [contrast, normalization],
    }
    print(f"Keras {keras.__version__}, {len(images)} images\n")
    print(f"{'order':<40}{'mode':<12}{'smallest':>9}{'largest':>9}{'exact zeros':>13}")
    for order, layers in orders.items():
        for mode, training in (("training", True), ("evaluation", False)):
            out: Array | object = images
            for layer in layers:
                out = layer(out, training=training)
            pixels = keras.ops.convert_to_numpy(out)
            zeros = f"{np.mean(pixels == 0):.1%}"
            print(f"{order:<40}{mode:<12}{pixels.min():>9.2f}{pixels.max():>9.2f}{zeros:>13}")

    drawn = contrast.get_random_transformation(np.zeros((10_000, 1, 1, 3)))["contrast_factor"]
    factors = keras.ops.convert_to_numpy(drawn)
    print(f"\nRandomContrast(0.1) draws factors from {factors.min():.3f} to {factors.max():.3f}")


if __name__ == "__main__":
    main()
