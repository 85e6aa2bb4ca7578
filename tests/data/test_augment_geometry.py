"""Crops, and all changes of place as one map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment import Augmentation
from eanet.data.augment.geometry import Affine, move, rotation
from tests.support.draws import neutral_draws


def noise(batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(256, (batch, 3, height, width), dtype=torch.uint8, generator=generator)


def ramps(batch: int, side: int = 40) -> Tensor:
    """The first channel is the column of each pixel, the second is its row."""
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack((column, row, row)).float().expand(batch, -1, -1, -1)


def test_a_padded_crop_with_a_flip_is_exact_and_reaches_every_place_alike() -> None:
    places = 9  # padded by 4 pixels of 32
    draw = (torch.arange(places) + 0.5) / places
    draws = neutral_draws(
        places**2, flip=0, shift_y=draw.repeat_interleave(places), shift_x=draw.repeat(places)
    )
    raw = noise(1, 32, 32)
    out = Augmentation(AugmentSettings(flip=True, translate=0.125))(
        raw.expand(81, -1, -1, -1), draws
    )
    padded = np.pad(raw[0].flip(-1).numpy(), ((0, 0), (4, 4), (4, 4)), mode="symmetric")
    for number, image in enumerate(out.numpy()):
        top, left = divmod(number, places)
        assert np.array_equal(image, padded[:, top : top + 32, left : left + 32])


def test_a_padded_crop_is_not_blurred_on_other_sides_than_powers_of_two() -> None:
    raw = noise(1, 28, 45)
    draws = neutral_draws(1, shift_y=0.999, shift_x=0.0)
    out = Augmentation(AugmentSettings(translate=0.1))(raw, draws)  # 2.8 and 4.5: 3 and 4 pixels
    padded = np.pad(raw[0].numpy(), ((0, 0), (3, 3), (4, 4)), mode="symmetric")
    assert np.abs(out[0].numpy() - padded[:, 6:, :45]).max() < 0.01


@pytest.mark.parametrize("smallest", [0.08, 0.5, 0.95])
def test_a_resized_crop_is_a_window_within_the_image_of_the_area_and_aspect_asked_for(
    smallest: float,
) -> None:
    augmentation = Augmentation(AugmentSettings(min_scale=smallest))
    draws = augmentation.draw(2000, torch.Generator().manual_seed(0))
    seen = augmentation(ramps(2000), draws)
    columns, rows = seen[:, 0], seen[:, 1]
    width = columns[:, 20, 21] - columns[:, 20, 20]  # of the window, as a share of the side
    height = rows[:, 21, 20] - rows[:, 20, 20]
    for places, extent in ((columns, width), (rows, height)):
        # The outermost pixels lie half a pixel inside the window, and the image ends at -0.5.
        assert (places[:, 0, 0] - extent / 2).amin() > -0.51
        assert (places[:, -1, -1] + extent / 2).amax() < 39.51
    assert (columns.diff(dim=2) >= 0).all()  # no mirror image in sight
    assert (rows.diff(dim=1) >= 0).all()
    area, aspect = width * height, width / height
    assert smallest - 1e-3 < area.amin() < smallest + 0.02
    assert 0.98 < area.amax() < 1.001
    assert float(area.mean()) == pytest.approx((smallest + 1) / 2, abs=0.02)  # all alike
    assert aspect.amax() == pytest.approx(min(4 / 3, 1 / smallest), abs=0.02)
    assert float(aspect.log().mean()) == pytest.approx(0, abs=0.02)
    middle = columns[:, 20, 19:21].mean(1)
    assert float(middle.mean()) == pytest.approx(19.5, abs=0.5)


def test_the_window_of_a_resized_crop_reaches_all_corners() -> None:
    augmentation = Augmentation(AugmentSettings(min_scale=0.25))
    corners = neutral_draws(4, crop_area=0, crop_y=[0, 0, 1, 1], crop_x=[0, 1, 0, 1])
    raw = ramps(4)
    out = augmentation(raw, corners)
    for image, top, left in zip(out, (0, 0, 20, 20), (0, 20, 0, 20), strict=True):
        window = raw[0, :, top : top + 20, left : left + 20]
        expected = torch.nn.functional.interpolate(window[None], size=(40, 40), mode="bilinear")[0]
        inner = (slice(None), slice(2, -2), slice(2, -2))
        torch.testing.assert_close(image[inner], expected[inner], atol=1e-3, rtol=0)


def test_a_map_after_a_map_is_one_map() -> None:
    angle = torch.tensor([0.3, -1.0])
    first, second = rotation(angle), Affine(xx=0.8, xy=0.1, x0=torch.tensor([2.0, -3]), y0=1.5)
    both = first.then(second)
    x, y = 3.0, -5.0
    for entry in range(2):

        def source(change: Affine, x: float, y: float, entry: int = entry) -> tuple[float, float]:
            xx, xy, x0, yx, yy, y0 = (
                float(value[entry]) if isinstance(value, Tensor) else value for value in change
            )
            return xx * x + xy * y + x0, yx * x + yy * y + y0

        assert source(both, x, y) == pytest.approx(source(first, *source(second, x, y)))


def test_changes_of_place_meet_the_pixels_once() -> None:
    """A turn and the turn back that a strong operation draws: nothing is blurred."""
    raw = noise(1, 32, 32)
    there_and_back = rotation(torch.tensor([0.7])).then(rotation(torch.tensor([-0.7])))
    torch.testing.assert_close(move(raw.float(), there_and_back), raw.float(), atol=0.01, rtol=0)


@pytest.mark.parametrize(("side", "rounding"), [(32, 0.0), (300, 0.02), (1999, 0.1)])
def test_a_shift_by_whole_pixels_keeps_their_values(side: int, rounding: float) -> None:
    raw, shift = noise(1, 8, side).float(), side // 8
    moved = move(raw, Affine(x0=torch.tensor([float(shift)])))
    torch.testing.assert_close(moved[..., :-shift], raw[..., shift:], atol=rounding, rtol=0)


def test_all_changes_of_place_act_together() -> None:
    settings = AugmentSettings(
        translate=0.1, min_scale=0.25, rotation=0.25, zoom=0.2, trivial_augment=True
    )
    draws = neutral_draws(
        1, shift_x=0.999, crop_area=0, angle=1, zoom_height=0, zoom_width=1, operation=3.5 / 14,
        strength=0.5 + 3 / 64,
    )  # fmt: skip
    columns, rows = Augmentation(settings)(ramps(1), draws)[0, :2]
    # 4 columns to the right; half the size; a quarter turn; 0.8 times as high and 1.2 times as
    # wide; then 3 columns to the right, which are 1.8 rows by then.
    middle = (slice(19, 21), slice(19, 21))
    assert float(columns[middle].mean()) == pytest.approx(19.5 + 4, abs=0.01)
    assert float(rows[middle].mean()) == pytest.approx(19.5 + 3 * 1.2 * 0.5, abs=0.01)
    assert float(rows[20].diff()[19]) == pytest.approx(1.2 * 0.5, abs=0.01)
    assert float(columns[:, 20].diff()[19]) == pytest.approx(-0.8 * 0.5, abs=0.01)
