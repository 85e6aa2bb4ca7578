"""Dropout from cheap bytes has the statistics of PyTorch's own."""

from __future__ import annotations

import pytest
import torch

from eanet.device import has_compiler
from eanet.models.dropout import Dropout
from eanet.ops.random_bytes import random_bytes

COUNT = 1_000_000


@pytest.mark.parametrize("p", [0.001, 0.1, 0.2, 0.25, 0.5, 0.9])
def test_drops_with_its_probability_and_keeps_the_mean(p):
    torch.manual_seed(0)
    layer = Dropout(p).train()
    y = layer(torch.ones(COUNT))
    exact = layer.threshold / 256
    assert 0 < abs(exact - p) <= 1 / 512 or exact in (p, 1 / 256)
    deviation = (exact * (1 - exact) / COUNT) ** 0.5
    assert y.eq(0).float().mean().item() == pytest.approx(exact, abs=5 * deviation)
    assert y.max().item() == pytest.approx(1 / (1 - exact))
    assert y.mean().item() == pytest.approx(1, abs=5 * deviation / (1 - exact))


def test_bytes_are_uniform_and_a_pure_function_of_their_seed():
    drawn = random_bytes(torch.tensor(7), COUNT)
    counts = torch.bincount(drawn.int(), minlength=256).double()
    chi_square = ((counts - COUNT / 256) ** 2 / (COUNT / 256)).sum().item()
    assert 170 < chi_square < 350  # 255 degrees of freedom: mean 255, deviation 23
    assert torch.equal(drawn, random_bytes(torch.tensor(7), COUNT))
    assert not torch.equal(drawn, random_bytes(torch.tensor(8), COUNT))
    assert torch.equal(drawn[:13], random_bytes(torch.tensor(7), 13))


def test_entries_are_dropped_independently_of_their_neighbours():
    torch.manual_seed(0)
    dropped = Dropout(0.2).train()(torch.ones(COUNT)).eq(0).double() - 0.2
    for distance in (1, 2, 8, 256):
        correlation = (dropped[distance:] * dropped[:-distance]).mean().item() / 0.16
        assert abs(correlation) < 5 / COUNT**0.5


def test_follows_the_default_generator():
    layer, x = Dropout(0.5).train(), torch.ones(100)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def compiled(module: torch.nn.Module) -> torch.nn.Module:
    if not has_compiler("cpu"):
        pytest.skip("no C++ compiler here")
    torch._dynamo.reset()
    return torch.compile(module, fullgraph=True)


@pytest.mark.parametrize("compile_it", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_gradient_passes_where_the_value_did_and_layers_draw_apart(compile_it):
    two = torch.nn.Sequential(Dropout(0.5), Dropout(0.5)).train()
    run = compiled(two) if compile_it else two
    x = torch.ones(4096, requires_grad=True)
    y = run(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    # Two layers with the same mask would let half of the entries through, not a quarter.
    assert y.ne(0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(run(x), y)


def test_does_nothing_outside_training_or_at_zero():
    x = torch.randn(10)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_an_impossible_probability_is_refused(p):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        Dropout(p)
