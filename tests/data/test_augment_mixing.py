"""Erasing, mixup and CutMix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eanet.config import AugmentSettings
from eanet.data.augment import Augmentation, Draws
from eanet.data.augment.mixing import mix, mix_labels
from tests.support.draws import neutral_draws

MIXUP, CUTMIX = AugmentSettings(mixup=0.4), AugmentSettings(cutmix=1.0)


def noise(batch: int, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(1, 250, (batch, 3, side, side), generator=generator).float()


def plain(levels: list[int], side: int = 32) -> Tensor:
    return torch.tensor(levels).float().view(-1, 1, 1, 1).expand(-1, 3, side, side)


# Erasing


def test_erasing_fills_one_rectangle_with_the_mean_colour_and_leaves_the_rest() -> None:
    augmentation, raw = Augmentation(AugmentSettings(erasing=1.0)), noise(1000)
    out = augmentation(raw, augmentation.draw(1000, torch.Generator().manual_seed(0)))
    changed = out != raw
    assert torch.equal(out, torch.where(changed, raw.mean((2, 3), keepdim=True), raw))
    erased = changed.any(1)
    rows, columns = erased.any(2), erased.any(1)  # (B, H), (B, W)
    assert torch.equal(erased, rows.unsqueeze(2) & columns.unsqueeze(1))
    for line in (rows, columns):  # without a gap
        assert (line.int().diff(dim=1).abs().sum(1) + line[:, 0] + line[:, -1] <= 2).all()
    area = erased.float().mean((1, 2))
    assert 0.01 < area.amin() < 0.03
    assert 0.31 < area.amax() < 0.36
    aspect = rows.sum(1) / columns.sum(1)
    assert 0.25 < aspect.amin() < 0.4
    assert 2.5 < aspect.amax() < 4
    assert erased.any(0).all()  # no place is spared


def test_so_many_images_are_erased_as_asked_for() -> None:
    augmentation, raw = Augmentation(AugmentSettings(erasing=0.25)), noise(4000, 8)
    out = augmentation(raw, augmentation.draw(4000, torch.Generator().manual_seed(0)))
    share = (out != raw).any(-1).any(-1).any(-1).float().mean()
    assert float(share) == pytest.approx(0.25, abs=0.02)


# Mixing


def test_mixup_blends_every_image_with_the_one_before_it() -> None:
    draws = Draws.of(neutral_draws(3, share=[1.0, 0.25, 0.5]))
    mixed, share = mix(plain([0, 100, 200]), draws, MIXUP)
    torch.testing.assert_close(mixed, plain([0, 25, 150]))
    torch.testing.assert_close(share, draws.share)


def test_cutmix_pastes_a_rectangle_of_the_image_before_and_counts_its_pixels() -> None:
    raw = noise(2000)
    augmentation = Augmentation(CUTMIX)
    draws = Draws.of(augmentation.draw(2000, torch.Generator().manual_seed(0)))
    mixed, share = mix(raw, draws, CUTMIX)
    pasted = (mixed != raw).any(1)  # (B, H, W)
    other = raw.roll(1, 0).permute(0, 2, 3, 1)
    assert torch.equal(mixed.permute(0, 2, 3, 1)[pasted], other[pasted])
    assert torch.equal(pasted, pasted.any(2).unsqueeze(2) & pasted.any(1).unsqueeze(1))
    torch.testing.assert_close(share, 1 - pasted.float().mean((1, 2)))
    assert (share > draws.share - 0.06).all()  # what lies beyond the edge is not pasted
    assert float(share.mean()) == pytest.approx(0.68, abs=0.02)


def test_a_cutmix_rectangle_has_the_area_that_was_drawn_about_its_centre() -> None:
    draws = Draws.of(neutral_draws(2, share=0.75, cut_y=[0.5, 1.0], cut_x=[0.25, 0.0]))
    mixed, share = mix(plain([0, 100]), draws, CUTMIX)
    expected = plain([0, 100]).clone()
    expected[0, :, 8:24, 0:16] = 100
    expected[1, :, 24:, :8] = 0
    assert torch.equal(mixed, expected)
    assert share.tolist() == [0.75, 1 - 1 / 16]


def test_both_together_take_turns() -> None:
    both = AugmentSettings(mixup=0.2, cutmix=1.0)
    table = Augmentation(both).draw(4000, torch.Generator().manual_seed(0))
    draws = Draws.of(table)
    mixed, _ = mix(plain([0, 100] * 2000, 8), draws, both)
    blended = ((mixed > 0) & (mixed < 100)).any(-1).any(-1).any(-1)
    cut = draws.cut < 0.5
    assert not (blended & cut).any()
    assert float(cut.float().mean()) == pytest.approx(0.5, abs=0.03)
    # Beta(a, a) has the variance 1 / (8 a + 4): each kind has its own alpha.
    assert float(draws.share[cut].var()) == pytest.approx(1 / 12, abs=0.01)
    assert float(draws.share[~cut].var()) == pytest.approx(1 / 5.6, abs=0.01)
    assert float(draws.share.mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("settings", [MIXUP, CUTMIX])
def test_shares_are_a_pure_function_of_the_generator(settings: AugmentSettings) -> None:
    def share(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return Draws.of(Augmentation(settings).draw(100, generator)).share

    assert torch.equal(share(1), share(1))
    assert not torch.equal(share(1), share(2))
    assert share(1).amin() >= 0
    assert share(1).amax() <= 1


def test_labels_are_mixed_as_the_images_are() -> None:
    mixed = mix_labels(torch.tensor([0, 2, 2]), torch.tensor([0.75, 0.25, 0.5]), 4)
    expected = [[0.75, 0, 0.25, 0], [0.75, 0, 0.25, 0], [0, 0, 1, 0]]
    torch.testing.assert_close(mixed, torch.tensor(expected))
