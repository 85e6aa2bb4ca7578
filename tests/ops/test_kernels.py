"""The compiled kernels compute what the tensor operations do that stand in for them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.models.self_attention import SelfAttention
from eanet.ops import kernels
from eanet.ops import self_attention as fused_self_attention_module
from eanet.ops.double_normalization import _normalize_and_drop, double_normalize
from eanet.ops.external_attention import _attend
from eanet.ops.random_bytes import random_bytes
from eanet.ops.self_attention import _self_attend, fused_self_attention

TYPES = [torch.float32, torch.bfloat16]
SEED = torch.tensor(2**61 + 5)

needs_compiler = pytest.mark.skipif(kernels.find_compiler() is None, reason="no C++ compiler here")


def both(function, x: Tensor, upstream: Tensor, patch: pytest.MonkeyPatch) -> list[list[Tensor]]:
    """Results and gradient, with kernels and without."""
    found = []
    for library in (kernels._library, None):
        with patch.context() as context:
            context.setattr(kernels, "_library", library)
            leaf = x.clone().requires_grad_()
            results = function(leaf)
            results[0].backward(upstream)
        found.append([*(r.detach() for r in results), leaf.grad])
    return found


def assert_close(ours: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    unit = 2e-6 if dtype == torch.float32 else 2**-7  # at the last place, two of bfloat16's
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == b.dtype
        highest = b.abs().max().item() if b.numel() else 0.0
        torch.testing.assert_close(a, b, atol=unit * highest, rtol=0)


@needs_compiler
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("threshold", [0, 51])
@pytest.mark.parametrize("shape", [(3, 17, 16, 16), (2, 5, 3, 5), (1, 1, 1, 1), (2, 9, 4, 64)])
def test_double_normalisation(shape, threshold, dtype, monkeypatch):
    assert kernels.library(dtype)
    torch.manual_seed(0)
    x, upstream = (3 * torch.randn(shape)).to(dtype), torch.randn(shape).to(dtype)
    ours, expected = both(
        lambda leaf: _normalize_and_drop(leaf, SEED, threshold), x, upstream, monkeypatch
    )
    assert_close(ours, expected, dtype)
    if threshold and x.numel() > 100:
        assert ours[0].eq(0).float().mean().item() == pytest.approx(51 / 256, abs=0.1)


@needs_compiler
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("threshold", [0, 51])
@pytest.mark.parametrize("shape", [(8, 33, 33), (5, 1, 1), (3, 256, 256)])
@pytest.mark.parametrize("kept", [True, False])
def test_map_of_self_attention(kept, shape, threshold, dtype, monkeypatch):
    assert kernels.library(dtype)
    torch.manual_seed(0)
    scores, upstream = (3 * torch.randn(shape)).to(dtype), torch.randn(shape).to(dtype)
    unit = torch.eye(shape[-1], dtype=dtype).expand(shape)
    ours, expected = both(
        lambda leaf: _self_attend(leaf, unit, unit, SEED, threshold, kept),
        scores,
        upstream,
        monkeypatch,
    )
    assert len(ours[1]) == (shape[0] if kept else 0)
    assert_close(ours, expected, dtype)


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("tokens", [8, 9])  # random words per row: 1, 2
def test_neither_groups_of_heads_nor_keeping_the_map_make_a_difference(tokens, built, monkeypatch):
    if not built:
        monkeypatch.setattr(kernels, "_library", None)
    torch.manual_seed(0)
    q, k, v = (torch.randn(7, tokens, 4, requires_grad=True) for _ in "qkv")
    found = []
    for size in (2**20, 2 * tokens**2 * 4 // torch.get_num_threads()):  # all heads, and two
        monkeypatch.setattr(fused_self_attention_module, "GROUP_BYTES", size)
        for kept in (True, False):
            y, _ = _self_attend(q, k, v, SEED, 128, kept)
            found.append([y, *torch.autograd.grad(y.square().sum(), (q, k, v))])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


@pytest.mark.parametrize("kept", [True, False])
def test_large_maps_are_not_kept(kept, monkeypatch):
    map_bytes = 2 * 3 * 9**2 * 4
    monkeypatch.setattr(fused_self_attention_module, "KEPT_BYTES", map_bytes - (not kept))
    *qkv, upstream = (torch.randn(2, 3, 9, 4, requires_grad=i < 3) for i in range(4))
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (saved.append(t.numel() * t.element_size()), t)[1], lambda t: t
    ):
        y = fused_self_attention(*qkv)
    assert (map_bytes in saved) is kept
    y.backward(upstream)


def test_self_attention_is_that_of_pytorch():
    torch.manual_seed(0)
    *qkv, upstream = (torch.randn(2, 3, 9, 4, requires_grad=i < 3) for i in range(4))
    ours = fused_self_attention(qkv[0] / 2, *qkv[1:])
    expected = F.scaled_dot_product_attention(*qkv)
    torch.testing.assert_close(ours, expected)
    for a, b in zip(
        *(torch.autograd.grad(y, qkv, upstream) for y in (ours, expected)), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("training", [True, False])
def test_self_attention_in_bfloat16_is_near_that_in_float32(training):
    torch.manual_seed(0)
    layer, x = SelfAttention(32, heads=4).train(training), torch.randn(2, 16, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(x), atol=2e-2, rtol=0)


def test_the_gradient_may_be_asked_for_under_autocast():
    torch.manual_seed(0)
    qkv = [torch.randn(2, 3, 9, 4, requires_grad=True) for _ in "qkv"]
    y = fused_self_attention(*qkv)
    expected = torch.autograd.grad(y.sum(), qkv, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(torch.autograd.grad(y.sum(), qkv), expected)
        assert fused_self_attention(*qkv).dtype == torch.bfloat16


@pytest.mark.parametrize("built", [True, False])
def test_what_dropout_left_of_self_attention_is_left_in_the_gradient_of_its_values(
    built, monkeypatch
):
    if not built:
        monkeypatch.setattr(kernels, "_library", None)
    torch.manual_seed(0)
    q, k, v, upstream = torch.randn(4, 2, 3, 64, 4).unbind()
    y = fused_self_attention(q, k, v.requires_grad_(), SEED, 128)
    (gradient,) = torch.autograd.grad(y, v, upstream)
    torch.testing.assert_close((gradient * v).sum(), (upstream * y).sum())  # y is linear in v


@pytest.mark.parametrize("count", [1, 13, 2**18 + 3])
def test_random_bytes_are_the_same_with_and_without_a_compiler(count, monkeypatch):
    ours = random_bytes(SEED, count)
    monkeypatch.setattr(kernels, "_library", None)
    assert torch.equal(random_bytes(SEED, count), ours)
    assert ours.shape == (count,)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_token_far_below_all_others_still_has_weights_that_sum_to_one(dtype):
    logits = torch.randn(2, 8, 2, 16).to(dtype)
    logits[:, 0] -= 500  # whose exponentials are all 0 beside the others'
    found = double_normalize(logits)
    assert found.isfinite().all()
    exact = double_normalize(logits.double())
    torch.testing.assert_close(
        found.double(), exact, atol=1e-2 if dtype == torch.bfloat16 else 1e-4, rtol=0
    )


@pytest.mark.parametrize("dtype", TYPES)
def test_a_nan_is_passed_on_and_stays_in_its_image(dtype):
    logits = torch.randn(2, 8, 2, 16).to(dtype)
    logits[0, 3, 1, 2] = torch.nan
    found = double_normalize(logits)
    assert found[0, :, 1].isnan().any()
    assert found[1].isfinite().all()
    y = fused_self_attention(logits, torch.zeros_like(logits), logits.clone().fill_(1))
    assert y[0, 3, 1].isnan().all()
    assert y[1].isfinite().all()


def map_of_self_attention(scores: Tensor, seed: Tensor | None = None, threshold: int = 0) -> Tensor:
    """Scores ``(B, h, N, N)`` to what dropout leaves of their softmax."""
    unit = torch.eye(scores.shape[-1]).expand_as(scores)
    return fused_self_attention(scores, unit, unit, seed, threshold)


@pytest.mark.parametrize("tokens", [4, 64])  # computed one by one, and as vectors
def test_small_weights_of_a_softmax_are_as_accurate_as_large_ones(tokens):
    scores = -torch.linspace(0.001, 86, 64 * 64).view(-1, 1, tokens, tokens)
    scores[..., 0] = 0
    expected = scores.double().softmax(dim=-1)
    found = map_of_self_attention(scores).double()
    assert ((found - expected) / expected).abs().max() < 6e-7  # 5 units in the last place


@pytest.mark.parametrize("function", [double_normalize, map_of_self_attention])
def test_the_gradient_passes_where_the_values_did(function):
    torch.manual_seed(0)
    x = torch.randn(2, 16, 16, 16, requires_grad=True)
    y = function(x, SEED, 128)
    upstream = torch.randn_like(y)
    (whole,) = torch.autograd.grad(y, x, upstream, retain_graph=True)
    (kept,) = torch.autograd.grad(y, x, upstream * y.detach().ne(0))
    assert y.eq(0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(whole, kept)


@needs_compiler
@pytest.mark.parametrize("dtype", TYPES)
def test_several_threads_compute_what_one_does(dtype):
    """Forward and backward, with dropout; matrix products may round in another order."""
    torch.manual_seed(0)
    x = torch.randn(6, 40, 24, dtype=dtype, requires_grad=True)
    w_in = torch.randn(4 * 16, 24, dtype=dtype, requires_grad=True)
    w_out = torch.randn(24, 4 * 16, dtype=dtype, requires_grad=True)
    q, k, v = (torch.randn(12, 40, 8, dtype=dtype, requires_grad=True) for _ in "qkv")
    logits = torch.randn(6, 40, 4, 16, dtype=dtype, requires_grad=True)
    leaves = (x, w_in, w_out, q, k, v, logits)

    def compute() -> list[Tensor]:
        attended = _attend(x, w_in, w_out, 4, SEED, 51, True)[0]
        seen = _self_attend(q, k, v, SEED, 51, True)[0]
        map_ = _normalize_and_drop(logits, SEED, 51)[0]
        loss = sum(y.float().square().sum() for y in (attended, seen, map_))
        gradients = torch.autograd.grad(loss, leaves)
        return [attended, seen, map_, random_bytes(SEED, 1001), *gradients]

    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(compute())
    finally:
        torch.set_num_threads(before)
    assert_close(*found, dtype)
