"""The resizing within exported files is that of Pillow."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eanet.config import Fit
from eanet.data.decode import decode_image
from eanet.deploy.export.resize import Resize
from eanet.model_files.preprocessing import DEFAULT, Preprocessing

SIDES = st.integers(1, 90)


def compared(
    pixels: np.ndarray, size: int, preprocessing: Preprocessing = DEFAULT
) -> tuple[np.ndarray, np.ndarray]:
    """One image (H, W, 3), resized to (S, S, 3) as within exported files and by Pillow."""
    ours = Resize(size, preprocessing)(torch.tensor(pixels)[None])[0].permute(1, 2, 0).numpy()
    assert (ours == ours.astype(np.uint8)).all(), "whole levels, from 0 to 255"
    return ours, decode_image(Image.fromarray(pixels), size, preprocessing)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(SIDES, SIDES, st.integers(1, 40), st.sampled_from(get_args(Fit)), st.integers(0, 9))
def test_it_is_what_pillow_does(height: int, width: int, size: int, fit: Fit, seed: int) -> None:
    ours, expected = compared(noise(height, width, seed), size, Preprocessing(fit, (7, 99, 200)))
    assert np.array_equal(ours, expected)


@pytest.mark.parametrize("size", [(1500, 2000), (2000, 1500), (1, 3000), (3000, 1)])
def test_so_it_is_for_photographs(size: tuple[int, int]) -> None:
    ours, expected = compared(noise(*size), 32)
    assert np.array_equal(ours, expected)


def test_the_images_of_a_batch_do_not_mix() -> None:
    batch = torch.from_numpy(np.stack([noise(13, 9, seed) for seed in range(3)]))
    each = [Resize(8)(image[None])[0] for image in batch]
    assert torch.equal(Resize(8)(batch), torch.stack(each))
