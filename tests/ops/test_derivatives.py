"""Derivatives of the operators: first, second, of zeros, by direction and by entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eanet.ops.batch_norm import batch_norm
from eanet.ops.depthwise import _depthwise
from eanet.ops.double_normalization import _DoubleNormalize, _normalize_and_drop
from eanet.ops.external_attention import _attend
from eanet.ops.max_pool import _max_pool
from eanet.ops.self_attention import _self_attend

SEED = torch.tensor(2**61 + 5)


def exact(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


FUNCTIONS: dict[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]] = {
    "attend": (lambda *t: _attend(*t, 2, SEED, 0, True)[0], ((2, 3, 4), (6, 4), (4, 6))),
    "attend, dropout": (lambda *t: _attend(*t, 2, SEED, 90, True)[0], ((2, 3, 4), (6, 4), (4, 6))),
    "double normalisation": (lambda t: _normalize_and_drop(t, SEED, 0)[0], ((2, 3, 2, 3),)),
    "double normalisation, dropout": (
        lambda t: _normalize_and_drop(t, SEED, 90)[0],
        ((2, 3, 2, 3),),
    ),
    "double normalisation elsewhere": (lambda t: _DoubleNormalize.apply(t)[0], ((2, 3, 2, 3),)),
    "self-attention": (lambda *t: _self_attend(*t, SEED, 0, True)[0], ((2, 3, 2),) * 3),
    "self-attention, dropout": (lambda *t: _self_attend(*t, SEED, 90, False)[0], ((2, 3, 2),) * 3),
    "batch norm": (lambda *t: batch_norm(*t, 1e-5)[0], ((5, 3), (3,), (3,))),
    "depthwise convolution": (_depthwise, ((2, 4, 3), (3, 1, 3, 3))),
    "max pooling": (lambda t: _max_pool(t)[0], ((2, 2, 5, 5),)),
}
every = pytest.mark.parametrize("name", FUNCTIONS)


@every
def test_first_and_second_derivatives_are_those_of_finite_differences(name):
    torch.manual_seed(0)
    function, shapes = FUNCTIONS[name]
    inputs = tuple(exact(*shape) for shape in shapes)
    # With all of the checks: missing gradients, and entries of a batch of them by vmap.
    assert torch.autograd.gradcheck(function, inputs, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, inputs)


@every
def test_only_what_needs_a_gradient_gets_one(name):
    torch.manual_seed(0)
    function, shapes = FUNCTIONS[name]
    inputs = [exact(*shape) for shape in shapes]
    for leaf in inputs[1:]:
        leaf.requires_grad_(False)
    (first,) = torch.autograd.grad(function(*inputs).square().sum(), inputs[:1], create_graph=True)
    first.square().sum().backward()
    assert inputs[0].grad is not None
    assert all(leaf.grad is None for leaf in inputs[1:])


@every
def test_a_second_derivative_in_single_precision_is_near_that_in_double(name):
    torch.manual_seed(0)
    function, shapes = FUNCTIONS[name]
    inputs = [exact(*shape) for shape in shapes]

    def penalty(leaves: list[Tensor]) -> list[Tensor]:
        gradients = torch.autograd.grad(function(*leaves).square().sum(), leaves, create_graph=True)
        total = torch.stack([g.double().square().sum() for g in gradients]).sum()
        return list(torch.autograd.grad(total, leaves, allow_unused=True))

    single = [leaf.detach().float().requires_grad_() for leaf in inputs]
    for found, expected in zip(penalty(single), penalty(inputs), strict=True):
        if expected is None:  # linear in it
            assert found is None
        else:
            torch.testing.assert_close(found.double(), expected, atol=1e-3, rtol=1e-3)


class _Blocked(torch.autograd.Function):
    """Has no derivative with respect to its first input."""

    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


@every
def test_a_gradient_that_is_missing_stays_missing(name):
    function, shapes = FUNCTIONS[name]
    inputs = [exact(*shape) for shape in shapes]
    y = function(*inputs)
    other = torch.ones_like(y, requires_grad=True)
    _Blocked.apply(y, other).sum().backward()
    assert all(leaf.grad is None or not leaf.grad.any() for leaf in inputs)
    assert other.grad is not None
