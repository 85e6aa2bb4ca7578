"""The augmentation on its own: what is drawn, what is changed, and what is left alone."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment import Augmentation, Draws
from tests.support.draws import neutral_draws

ALONE = [
    AugmentSettings(flip=True),
    AugmentSettings(translate=0.2),
    AugmentSettings(min_scale=0.5),
    AugmentSettings(rotation=0.1),
    AugmentSettings(zoom=0.2),
    AugmentSettings(contrast=0.1),
    AugmentSettings(trivial_augment=True),
    AugmentSettings(erasing=1.0),
]
EVERYTHING = AugmentSettings(
    flip=True,
    translate=0.2,
    min_scale=0.5,
    rotation=0.1,
    zoom=0.2,
    contrast=0.1,
    trivial_augment=True,
    erasing=0.5,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = 8, height: int = 16, width: int = 24) -> Tensor:
    return torch.randint(
        0, 256, (batch, 3, height, width), dtype=torch.uint8, generator=generator(7)
    )


def test_with_everything_off_the_images_come_back_as_float() -> None:
    augmentation = Augmentation(AugmentSettings())
    raw = images()
    out = augmentation(raw, augmentation.draw(len(raw), generator()))
    assert out.dtype == torch.float32
    assert torch.equal(out, raw.float())


@pytest.mark.parametrize("settings", ALONE, ids=lambda s: str(s.model_dump(exclude_unset=True)))
def test_each_setting_alone_changes_the_images(settings: AugmentSettings) -> None:
    augmentation = Augmentation(settings)
    raw = images()
    out = augmentation(raw, augmentation.draw(len(raw), generator()))
    assert out.shape == raw.shape
    assert out.dtype == torch.float32
    assert (out - raw).abs().amax() > 1


def test_neutral_draws_change_nothing() -> None:
    raw = images()
    settings = AugmentSettings(flip=True, translate=0.2, rotation=0.1, zoom=0.2, contrast=0.1)
    out = Augmentation(settings)(raw, neutral_draws(len(raw)))
    torch.testing.assert_close(out, raw.float(), atol=1e-2, rtol=0)


def test_a_flipped_image_is_the_exact_mirror_image() -> None:
    raw = images(batch=2)
    out = Augmentation(AugmentSettings(flip=True))(raw, neutral_draws(2, flip=[0.5, 0.49]))
    assert torch.equal(out[0], raw[0].float())
    assert torch.equal(out[1], raw[1].flip(-1).float())


def test_a_quarter_turn_is_counter_clockwise_about_the_centre() -> None:
    raw = images(batch=1, height=16, width=16)
    out = Augmentation(AugmentSettings(rotation=0.25))(raw, neutral_draws(1, angle=1))
    torch.testing.assert_close(out, raw.float().rot90(1, (2, 3)), atol=1e-2, rtol=0)


def test_angles_are_true_on_images_that_are_not_square() -> None:
    # A disc right of the centre of a wide image goes straight up, not along an ellipse.
    rows, columns = torch.meshgrid(torch.arange(41) - 20, torch.arange(81) - 40, indexing="ij")
    disc = ((rows**2 + (columns - 12) ** 2) < 16).float().mul(255).view(1, 1, 41, 81)
    out = Augmentation(AugmentSettings(rotation=0.25))(disc, neutral_draws(1, angle=1))[0, 0]
    weight = out / out.sum()
    assert float((weight * rows).sum()) == pytest.approx(-12, abs=0.1)
    assert float((weight * columns).sum()) == pytest.approx(0, abs=0.1)


def test_zoom_of_both_sides_is_that_of_each_bit_for_bit() -> None:
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 255
    table = Augmentation(AugmentSettings()).draw(8, torch.Generator().manual_seed(1))
    both = Augmentation(AugmentSettings(zoom=0.2))(images, table)
    each = AugmentSettings(zoom_height=0.2, zoom_width=0.2)
    assert each.moves
    assert torch.equal(Augmentation(each)(images, table), both)
    assert not AugmentSettings(zoom=0.2, zoom_height=0, zoom_width=0).moves


def test_zoom_sees_more_for_high_draws_and_less_for_low_ones_in_each_direction_alone() -> None:
    ramp = torch.linspace(0, 100, 33).expand(1, 1, 33, 33)  # slope 100 / 32 across, none down
    augmentation = Augmentation(AugmentSettings(zoom=0.2))
    for draw, factor in ((1.0, 1.2), (0.0, 0.8), (0.75, 1.1)):
        across = augmentation(ramp, neutral_draws(1, zoom_width=draw))[0, 0, 16].diff()[10:-10]
        torch.testing.assert_close(across, torch.full_like(across, factor * 100 / 32))
        tall = augmentation(ramp.mT, neutral_draws(1, zoom_height=draw))
        down = tall[0, 0, :, 16].diff()[10:-10]
        torch.testing.assert_close(down, torch.full_like(down, factor * 100 / 32))


def test_contrast_scales_about_the_mean_of_each_image_and_channel() -> None:
    raw = images(batch=2).float() / 2 + 64  # away from 0 and 255: nothing is clipped
    raw[1, 2] -= 40
    out = Augmentation(AugmentSettings(contrast=0.1))(raw, neutral_draws(2, contrast=[1, 0]))
    torch.testing.assert_close(out.mean((2, 3)), raw.mean((2, 3)))
    ratio = out.std((2, 3)) / raw.std((2, 3))
    torch.testing.assert_close(ratio, torch.tensor([[1.1] * 3, [0.9] * 3]))


def test_contrast_stays_within_raw_pixels() -> None:
    raw = torch.tensor([0, 255], dtype=torch.uint8).repeat(8).view(1, 1, 4, 4)
    out = Augmentation(AugmentSettings(contrast=0.5))(raw, neutral_draws(1, contrast=1))
    assert torch.equal(out, raw.float())


def test_every_image_has_its_own_draws_and_depends_on_them_alone() -> None:
    augmentation = Augmentation(EVERYTHING)
    same = images(batch=1).expand(6, -1, -1, -1)
    draws = augmentation.draw(6, generator())
    out = augmentation(same, draws)
    for i in range(6):
        for j in range(i):
            assert not torch.equal(out[i], out[j])
    alone = augmentation(same[2:3], draws[2:3])
    torch.testing.assert_close(alone, out[2:3], atol=1e-3, rtol=0)


def test_draws_are_a_pure_function_of_the_generator_and_not_of_the_settings() -> None:
    draws = Augmentation(EVERYTHING).draw(5, generator(3))
    assert torch.equal(draws, Augmentation(EVERYTHING).draw(5, generator(3)))
    assert torch.equal(draws, Augmentation(AugmentSettings()).draw(5, generator(3)))
    mixing = Augmentation(AugmentSettings(mixup=0.2, cutmix=1)).draw(5, generator(3))
    changed = (mixing != draws).any(0)
    assert [Draws._fields[column] for column in changed.nonzero()] == ["share"]
    assert not torch.equal(draws, Augmentation(EVERYTHING).draw(5, generator(4)))
    global_state = torch.get_rng_state()
    Augmentation(EVERYTHING)(images(5), draws)
    assert torch.equal(global_state, torch.get_rng_state())


def test_draws_fill_their_ranges_evenly() -> None:
    draws, columns = Augmentation(EVERYTHING).draw(4000, generator()), len(Draws._fields)
    assert draws.dtype == torch.float32
    assert draws.device.type == "cpu"
    assert draws.amin() >= 0
    assert draws.amax() < 1
    torch.testing.assert_close(draws.mean(0), torch.full((columns,), 0.5), atol=0.02, rtol=0)
    torch.testing.assert_close(draws.std(0), torch.full((columns,), 12**-0.5), atol=0.02, rtol=0)
    off_diagonal = torch.corrcoef(draws.T) - torch.eye(columns)
    assert off_diagonal.abs().amax() < 0.06


def test_half_of_the_images_are_flipped() -> None:
    augmentation = Augmentation(AugmentSettings(flip=True))
    ramp = torch.arange(4).expand(2000, 1, 1, 4)
    out = augmentation(ramp, augmentation.draw(2000, generator()))
    share = (out[:, 0, 0, 0] == 3).float().mean()
    assert float(share) == pytest.approx(0.5, abs=0.04)


def test_autocast_does_not_coarsen_the_pixels() -> None:
    augmentation = Augmentation(EVERYTHING)
    raw = images()
    draws = augmentation.draw(len(raw), generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = augmentation(raw, draws)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, augmentation(raw, draws))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_in_one_graph_it_does_the_same() -> None:
    augmentation = Augmentation(EVERYTHING)
    raw = images(batch=28)
    draws = augmentation.draw(len(raw), generator())
    compiled = torch.compile(augmentation, fullgraph=True, dynamic=False)
    torch.testing.assert_close(compiled(raw, draws), augmentation(raw, draws), atol=1e-2, rtol=0)
