"""The parts of a transformer block."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from eanet.device import has_compiler
from eanet.models.block import GELU, MLP, Block


@pytest.mark.skipif(not has_compiler("cpu"), reason="no C++ compiler here")
def test_compiled_gelu_is_the_tanh_form_in_value_and_gradient():
    torch._dynamo.reset()
    compiled = torch.compile(GELU(), fullgraph=True)
    x = torch.linspace(-30, 30, 4001, requires_grad=True)
    expected = F.gelu(x, approximate="tanh")
    ours = compiled(x)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)
    (gradient,) = torch.autograd.grad(ours.sum(), x)
    (right,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(gradient, right, atol=1e-5, rtol=1e-5)


def test_gelu_is_the_tanh_form():
    x = torch.linspace(-5, 5, 101)
    assert torch.equal(GELU()(x), F.gelu(x, approximate="tanh"))


def test_a_block_adds_both_branches_to_its_input():
    torch.manual_seed(0)
    attention, mlp = torch.nn.Linear(8, 8), MLP(8, 16)
    block, x = Block(8, attention, mlp), torch.randn(2, 3, 8)
    middle = x + attention(F.layer_norm(x, (8,), eps=1e-5))
    expected = middle + mlp(F.layer_norm(middle, (8,), eps=1e-5))
    torch.testing.assert_close(block(x), expected)
