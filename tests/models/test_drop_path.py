"""Stochastic depth."""

from __future__ import annotations

import pytest
import torch

from eanet import create_model
from eanet.models.drop_path import DropPath, stochastic_depth_rates


def test_each_image_is_left_out_or_scaled_as_a_whole():
    torch.manual_seed(0)
    x = torch.rand(4000, 3, 2) + 0.5
    ratio = DropPath(0.25).train()(x) / x  # (B, N, d)
    first = ratio[:, :1, :1]
    torch.testing.assert_close(ratio, first.expand_as(ratio))
    left_out = first.eq(0)
    torch.testing.assert_close(first[~left_out], torch.full_like(first[~left_out], 1 / 0.75))
    assert left_out.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_all_is_kept_outside_training_and_at_zero():
    x = torch.randn(8, 3, 2)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath().train()(x) is x


def test_the_probability_rises_linearly_to_its_highest():
    assert stochastic_depth_rates(0.2, 4) == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert stochastic_depth_rates(0.2, 1) == [0.2]
    model = create_model("eanet_tiny", depth=2, drop_path=0.1)
    assert [block.drop_path.p for block in model.blocks] == pytest.approx([0.05, 0.1])


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_probability_out_of_range_is_refused(p):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        DropPath(p)
