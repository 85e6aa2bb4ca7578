"""The augmentation against the Keras layers that it stands for, for the same fixed parameters."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment import Augmentation
from tests.support.draws import neutral_draws

TOLERANCE = 0.01  # grey levels, mean over an image; what is measured is below 0.0001


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="needs keras (in the extra `dev`)")


@pytest.fixture(scope="module", params=[(32, 32), (64, 64), (32, 48)], ids=str)
def photographs(request: pytest.FixtureRequest) -> Tensor:
    """Parts of a building and of a flower, raw pixels (4, H, W, 3)."""
    height, width = request.param
    parts = [
        Image.fromarray(photograph[top : top + 220, left : left + 220]).resize((width, height))
        for photograph in load_sample_images().images
        for top, left in ((0, 0), (200, 60))
    ]
    return torch.from_numpy(np.stack([np.asarray(part) for part in parts])).float()


def ours(photographs: Tensor, settings: AugmentSettings, **draws: float) -> Tensor:
    """Our result in Keras' layout; ``draws`` are the parameters as a share of their range."""
    columns = {name: (share + 1) / 2 for name, share in draws.items()}
    table = neutral_draws(len(photographs), **columns)
    return Augmentation(settings)(photographs.permute(0, 3, 1, 2), table).permute(0, 2, 3, 1)


def theirs(layer: Any, photographs: Tensor) -> Tensor:
    transformation = layer.get_random_transformation(photographs, training=True)
    return layer.transform_images(photographs, transformation, training=True)


def assert_same_pictures(actual: Tensor, expected: Tensor) -> None:
    difference = (actual - expected).abs()
    assert float(difference.mean((1, 2, 3)).amax()) < TOLERANCE


def test_flip(keras: ModuleType, photographs: Tensor) -> None:
    table = neutral_draws(len(photographs), flip=0)
    out = Augmentation(AugmentSettings(flip=True))(photographs.permute(0, 3, 1, 2), table)
    flips = torch.ones(len(photographs), 1, 1, 1, dtype=torch.bool)
    layer = keras.layers.RandomFlip("horizontal")
    assert torch.equal(
        out.permute(0, 2, 3, 1), layer.transform_images(photographs, {"flips": flips})
    )


@pytest.mark.parametrize("degrees", [-36, -17, 5, 36, 90])
def test_rotation(keras: ModuleType, photographs: Tensor, degrees: float) -> None:
    turn = degrees / 360
    actual = ours(photographs, AugmentSettings(rotation=abs(turn)), angle=np.sign(turn))
    assert_same_pictures(actual, theirs(keras.layers.RandomRotation((turn, turn)), photographs))


@pytest.mark.parametrize(
    ("height", "width"), [(0.2, 0.2), (-0.2, -0.2), (0.2, 0.0), (0.0, -0.2), (0.13, -0.07)]
)
def test_zoom(keras: ModuleType, photographs: Tensor, height: float, width: float) -> None:
    draws = {"zoom_height": height / 0.2, "zoom_width": width / 0.2}
    actual = ours(photographs, AugmentSettings(zoom=0.2), **draws)
    layer = keras.layers.RandomZoom((height, height), (width, width))
    assert_same_pictures(actual, theirs(layer, photographs))


@pytest.mark.parametrize("own", [{"zoom_height": 0.3}, {"zoom": 0.3, "zoom_width": 0.1}], ids=str)
def test_zoom_of_height_and_width_apart(
    keras: ModuleType, photographs: Tensor, own: dict[str, float]
) -> None:
    settings = AugmentSettings(**own)
    actual = ours(photographs, settings, zoom_height=-0.5, zoom_width=0.5)
    width = 0.05 if "zoom_width" in own else 0.0
    layer = keras.layers.RandomZoom((-0.15, -0.15), (width, width))
    assert_same_pictures(actual, theirs(layer, photographs))


@pytest.mark.parametrize("factor", [0.9, 0.97, 1.1])
def test_contrast(keras: ModuleType, photographs: Tensor, factor: float) -> None:
    actual = ours(photographs, AugmentSettings(contrast=0.1), contrast=(factor - 1) / 0.1)
    factors = torch.full((len(photographs), 1, 1, 1), factor)
    layer = keras.layers.RandomContrast(0.1)
    expected = layer.transform_images(photographs, {"contrast_factor": factors})
    assert_same_pictures(actual, expected)


def test_rotation_comes_before_zoom(keras: ModuleType, photographs: Tensor) -> None:
    """Zooming in, so that no step of Keras' looks beyond what the step before it left blank.

    Keras interpolates twice, which blurs: its picture differs by a few grey levels from one
    interpolation, and by far more from the two steps in the other order.
    """
    rotation = keras.layers.RandomRotation((0.1, 0.1))
    zoom = keras.layers.RandomZoom((-0.2, -0.2), (0.1, 0.1))
    settings = AugmentSettings(rotation=0.1, zoom=0.2)
    actual = ours(photographs, settings, angle=1, zoom_height=-1, zoom_width=0.5)
    right = theirs(zoom, theirs(rotation, photographs))
    wrong = theirs(rotation, theirs(zoom, photographs))
    inner = (slice(None), slice(8, -8), slice(8, -8))
    to_right = (actual - right)[inner].abs().mean()
    to_wrong = (actual - wrong)[inner].abs().mean()
    assert to_right < 4
    assert to_wrong > 3 * to_right
