"""The parts of a transformer block."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eanet.device import has_compiler
from eanet.models.batch_norm import TokenBatchNorm
from eanet.models.block import Block
from eanet.models.depthwise import DepthwiseConvolution
from eanet.models.gelu import GELU
from eanet.models.mlp import MLP


@pytest.mark.slow
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


def test_a_block_without_attention_is_its_mlp_and_has_no_idle_norm():
    torch.manual_seed(0)
    mlp = MLP(8, 16)
    block, x = Block(8, None, mlp), torch.randn(2, 3, 8)
    torch.testing.assert_close(block(x), x + mlp(F.layer_norm(x, (8,), eps=1e-5)))
    expected = sum(p.numel() for p in mlp.parameters()) + 2 * 8
    assert sum(p.numel() for p in block.parameters()) == expected


def test_the_layers_of_an_mlp_have_names_that_a_convolution_does_not_move():
    plain, convolved = MLP(4, 8), MLP(4, 8, conv=DepthwiseConvolution(8))
    linear = {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert set(plain.state_dict()) == linear
    assert set(convolved.state_dict()) == linear | {"conv.weight", "conv.bias"}


def test_the_convolution_of_an_mlp_stands_before_gelu():
    torch.manual_seed(0)
    mlp, x = MLP(4, 8, conv=DepthwiseConvolution(8)), torch.randn(2, 9, 4)
    hidden = mlp.fc1(x).mT.reshape(2, 8, 3, 3)
    hidden = F.conv2d(hidden, mlp.conv.weight, mlp.conv.bias, padding=1, groups=8)
    expected = mlp.fc2(F.gelu(hidden.flatten(2).mT, approximate="tanh"))
    torch.testing.assert_close(mlp(x), expected)


def test_tokens_are_normalised_over_the_batch_as_the_map_they_are():
    torch.manual_seed(0)
    ours, maps = TokenBatchNorm(6), nn.BatchNorm2d(6)
    x = 3 * torch.randn(4, 9, 6) + 1
    for module in (ours, maps):
        module.train()
    for _ in range(2):
        expected = maps(x.mT.unflatten(2, (3, 3))).flatten(2).mT  # (B, N, d)
        torch.testing.assert_close(ours(x), expected)
        assert ours.running_var.eq(maps.running_var).all()
        for module in (ours, maps):  # and then with the statistics that were learned
            module.eval()
