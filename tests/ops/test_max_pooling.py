"""Max pooling is the library's, compiled or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from eanet.device import has_compiler
from eanet.models.max_pooling import MaxPooling

pooling = MaxPooling()


@pytest.mark.parametrize("side", [8, 7, 2, 1])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "compiled",
    [
        False,
        pytest.param(
            True,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not has_compiler("cpu"), reason="no C++ compiler here"),
            ],
        ),
    ],
)
def test_maxima_and_gradients_are_those_of_pytorch(side, order, compiled):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, side, side).to(memory_format=order).requires_grad_()
    expected = F.max_pool2d(maps, 3, stride=2, padding=1)
    upstream = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad(expected, maps, upstream)
    pool = torch.compile(pooling, dynamic=False) if compiled else pooling
    ours = pool(maps)
    assert torch.equal(ours, expected)
    assert ours.stride() == expected.stride()
    assert torch.equal(torch.autograd.grad(ours, maps, upstream)[0], gradient)


def test_the_operator_keeps_pytorchs_rules_for_operators():
    maps = torch.randn(2, 3, 5, 5, requires_grad=True)
    torch.library.opcheck(torch.ops.eanet.max_pool.default, (maps,))
