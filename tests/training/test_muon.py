"""Muon: what it does to matrices, and that all else is AdamW's."""

from __future__ import annotations

import pytest
import torch

from eanet.training import muon
from eanet.training.muon import Muon, orthogonalize

OPTIONS = {"lr": 0.01, "weight_decay": 0.1, "fused": True}


def weights(*shapes: tuple[int, ...]) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]


@pytest.fixture(params=["bf16", "fp32"])
def precision(request, monkeypatch):
    """As on a machine with or without bfloat16."""
    monkeypatch.setattr(muon, "has_bf16", lambda device: request.param == "bf16")
    return request.param


def with_gradients(parameters: list[torch.nn.Parameter], seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)


def test_singular_values_come_near_one_and_singular_vectors_stay(precision):
    torch.manual_seed(0)
    matrices = torch.randn(3, 16, 40)
    u, s, v = torch.linalg.svd(matrices, full_matrices=False)
    rotated = u.mT @ orthogonalize(matrices) @ v.mT  # diagonal, if the vectors stayed
    assert s.max() / s.min() > 3
    diagonal = rotated.diagonal(dim1=1, dim2=2)
    assert 0.6 < diagonal.min() < diagonal.max() < 1.3
    off_diagonal = (rotated - torch.diag_embed(diagonal)).abs().max()
    assert off_diagonal < (0.05 if precision == "bf16" else 1e-4)


@pytest.mark.parametrize("shape", [(24, 60), (60, 24), (30, 30)])
def test_steps_are_those_of_pytorch(shape):
    ours, theirs = weights(shape, shape), weights(shape, shape)
    optimizer = Muon([{"params": ours, "orthogonal": True}], **OPTIONS)
    reference = torch.optim.Muon(
        theirs, lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for seed in range(3):
        with_gradients(ours, seed)
        with_gradients(theirs, seed)
        before = ours[0].detach().clone()
        optimizer.step()
        reference.step()
        for w, expected in zip(ours, theirs, strict=True):
            # PyTorch rounds to bfloat16 on every device, and in another order.
            step = (ours[0] - before).norm()
            assert (w - expected).norm() < 0.02 * step * (seed + 1)


def test_a_convolution_is_stepped_as_the_matrix_of_its_filters():
    kernels, matrices = weights((8, 3, 2, 2)), weights((8, 12))
    for parameters in (kernels, matrices):
        optimizer = Muon([{"params": parameters, "orthogonal": True}], **OPTIONS)
        for seed in range(2):
            with_gradients(parameters, seed)
            optimizer.step()
    assert torch.equal(kernels[0].flatten(1), matrices[0])


def test_a_step_is_as_large_as_one_of_adamw():
    matrix = weights((64, 96))
    start = matrix[0].detach().clone()
    with_gradients(matrix, 0)
    Muon([{"params": matrix, "orthogonal": True}], lr=0.01, weight_decay=0.0).step()
    size = (matrix[0] - start).square().mean().sqrt().item()
    assert size == pytest.approx(0.2 * 0.01, rel=0.2)


def test_all_else_is_adamw_to_the_bit():
    ours, theirs = weights((8, 4), (5,)), weights((8, 4), (5,))
    matrix = weights((6, 6))
    optimizer = Muon(
        [{"params": ours[:1]}, {"params": matrix, "orthogonal": True}, {"params": ours[1:]}],
        **OPTIONS,
    )
    reference = torch.optim.AdamW(theirs, **OPTIONS)
    for seed in range(3):
        for parameters in (ours, theirs, matrix):
            with_gradients(parameters, seed)
        optimizer.step()
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert "momentum" in optimizer.state[matrix[0]]


def test_the_state_goes_on_where_it_was_saved():
    shapes = (6, 9), (6, 9), (4,)

    def run(steps: range, parameters, state=None) -> Muon:
        groups = [{"params": parameters[:2], "orthogonal": True}, {"params": parameters[2:]}]
        optimizer = Muon(groups, **OPTIONS)
        if state is not None:
            optimizer.load_state_dict(state)
        for seed in steps:
            with_gradients(parameters, seed)
            optimizer.step()
        return optimizer

    whole, parts = weights(*shapes), weights(*shapes)
    run(range(4), whole)
    run(range(2, 4), parts, run(range(2), parts).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
