"""The resizing within exported files is that of Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eanet.data.decode import decode_image
from eanet.deploy.export.resize import Resize

SIDES = st.integers(1, 90)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """One image (H, W, 3) to (S, S, 3)."""
    return Resize(size)(torch.tensor(pixels)[None])[0].permute(1, 2, 0).numpy()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(SIDES, SIDES, st.integers(1, 40), st.integers(0, 9))
def test_it_is_within_a_grey_level_of_pillow(height: int, width: int, size: int, seed: int) -> None:
    pixels = noise(height, width, seed)
    expected = decode_image(Image.fromarray(pixels), size)
    ours = resized(pixels, size)
    assert (ours == ours.astype(np.uint8)).all(), "whole levels, from 0 to 255"
    # A level by which the first pass differs can become one more in the second.
    assert np.abs(ours - expected).max() <= 2
    assert np.abs(ours - expected).mean() < 0.3


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(375, 500, 32), (1200, 900, 64), (20, 30, 32), (32, 32, 32), (33, 32, 32), (1, 300, 8)],
)
def test_of_photographs_nearly_every_pixel_is_the_same(height: int, width: int, size: int) -> None:
    small = Image.fromarray(noise(9, 12))
    pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    expected = decode_image(Image.fromarray(pixels), size)
    different = resized(pixels, size) != expected
    assert different.mean() < 0.001


def test_the_images_of_a_batch_do_not_mix() -> None:
    batch = torch.from_numpy(np.stack([noise(13, 9, seed) for seed in range(3)]))
    each = [Resize(8)(image[None])[0] for image in batch]
    assert torch.equal(Resize(8)(batch), torch.stack(each))
