"""The operations of TrivialAugment against Pillow's, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment import Augmentation
from eanet.data.augment.trivial_augment import OPERATIONS
from tests.support.draws import neutral_draws

AUGMENTATION = Augmentation(AugmentSettings(trivial_augment=True))
STRENGTHS = (0.0, 0.13, 0.5, 0.77, 1.0)


def photographs() -> list[Image.Image]:
    """Parts of a building and of a flower, a dull one, and one that is all of one colour."""
    building, flower = (
        Image.fromarray(photograph[:220, :220]).resize((32, 32))
        for photograph in load_sample_images().images
    )
    dull = ImageEnhance.Contrast(building).enhance(0.4)
    return [building, flower, dull, Image.new("RGB", (32, 32), (200, 30, 0))]


def draw_of(operation: str) -> float:
    return (OPERATIONS.index(operation) + 0.5) / len(OPERATIONS)


def ours(images: list[Image.Image], operation: str, strength: float) -> Tensor:
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    draws = neutral_draws(len(images), operation=draw_of(operation), strength=strength)
    return AUGMENTATION(pixels.permute(0, 3, 1, 2), draws).permute(0, 2, 3, 1)


def theirs(images: list[Image.Image], change: Callable[[Image.Image], Image.Image]) -> Tensor:
    changed = np.stack([np.asarray(change(image)) for image in images])
    return torch.from_numpy(changed).float()


def assert_within(actual: Tensor, expected: Tensor, levels: float) -> None:
    assert float((actual - expected).abs().amax()) <= levels


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(
    ("operation", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("color", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_enhancements_are_those_of_pillow_but_for_its_rounding(
    operation: str, enhance: Callable[[Image.Image], ImageEnhance._Enhance], strength: float
) -> None:
    images, factor = photographs(), 1 + 0.99 * (2 * strength - 1)
    expected = theirs(images, lambda image: enhance(image).enhance(factor))
    assert_within(ours(images, operation, strength), expected, 2)  # of grey, and of the result


@pytest.mark.parametrize("strength", STRENGTHS)
def test_posterize_keeps_8_to_2_bits(strength: float) -> None:
    bits = 8 - round(6 * strength)
    expected = theirs(photographs(), lambda image: ImageOps.posterize(image, bits))
    assert_within(ours(photographs(), "posterize", strength), expected, 0.001)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_solarize_inverts_what_reaches_the_threshold(strength: float) -> None:
    threshold = 255 * (1 - strength)
    expected = theirs(photographs(), lambda image: ImageOps.solarize(image, threshold))
    assert_within(ours(photographs(), "solarize", strength), expected, 0.001)


def test_autocontrast_is_that_of_pillow_but_for_its_rounding() -> None:
    expected = theirs(photographs(), ImageOps.autocontrast)
    assert_within(ours(photographs(), "autocontrast", 0.5), expected, 1)


@pytest.mark.parametrize("side", [8, 32, 50])
def test_equalize_is_that_of_pillow(side: int) -> None:
    images = [image.resize((side, side)) for image in photographs()]
    assert_within(ours(images, "equalize", 0.5), theirs(images, ImageOps.equalize), 0.001)


MAPS = {  # Pillow's: where the column and the row of a pixel come from
    "shear_x": lambda s: (1, 0.99 * s, 0, 0, 1, 0),
    "shear_y": lambda s: (1, 0, 0, 0.99 * s, 1, 0),
    "translate_x": lambda s: (1, 0, 32 * s, 0, 1, 0),
    "translate_y": lambda s: (1, 0, 0, 0, 1, 32 * s),
}


@pytest.mark.parametrize("signed", [-0.5, 0.25])
@pytest.mark.parametrize("operation", MAPS)
def test_shifts_and_shears_are_those_of_pillow_about_the_centre(
    operation: str, signed: float
) -> None:
    a, b, c, d, e, f = MAPS[operation](signed)
    about = (a, b, c - b * 16, d, e, f - d * 16)  # the centre of 32 x 32 pixels stays
    inside = Image.new("RGB", (32, 32), (255, 255, 255))

    def transform(image: Image.Image) -> Image.Image:
        return image.transform((32, 32), Image.Transform.AFFINE, about, Image.Resampling.BILINEAR)

    images = photographs()[:2]
    seen = theirs([inside], transform) == 255  # Pillow fills the rest with black
    assert 0.3 < seen.float().mean() < 1
    difference = (ours(images, operation, (signed + 1) / 2) - theirs(images, transform)).abs()
    assert float((difference * seen).amax()) <= 1.5


@pytest.mark.parametrize("signed", [-0.5, 0.25])
def test_a_rotation_reaches_135_degrees_either_way(signed: float) -> None:
    images = photographs()[:2]
    expected = theirs(
        images, lambda image: image.rotate(135 * signed, resample=Image.Resampling.BILINEAR)
    )
    row, column = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(32) - 15.5, indexing="ij")
    disc = ((row**2 + column**2) < 15**2).unsqueeze(-1)
    difference = (ours(images, "rotate", (signed + 1) / 2) - expected).abs() * disc
    assert float(difference.amax()) <= 1.5


@pytest.mark.parametrize("strength", [0.0, 0.9])
def test_identity_leaves_an_image_as_it_is(strength: float) -> None:
    images = photographs()
    assert torch.equal(ours(images, "identity", strength), theirs(images, lambda image: image))


def test_all_operations_are_equally_frequent_and_each_image_gets_its_own() -> None:
    building = photographs()[0]
    pixels = torch.from_numpy(np.array(building)).permute(2, 0, 1).expand(1400, -1, -1, -1)
    draws = AUGMENTATION.draw(1400, torch.Generator().manual_seed(0))
    numbers = (draws[:, 11] * len(OPERATIONS)).long()
    assert torch.bincount(numbers, minlength=14).sub(100).abs().amax() < 35
    out = AUGMENTATION(pixels, draws)
    unchanged = (out - pixels).abs().amax((1, 2, 3)) < 0.01
    always = {OPERATIONS.index(name) for name in ("identity",)}
    assert unchanged[numbers == 0].all()
    assert set(numbers[unchanged].tolist()) - always <= {OPERATIONS.index("posterize")}  # 8 bits
