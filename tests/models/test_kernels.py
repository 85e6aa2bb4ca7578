"""The compiled kernels compute what the tensor operations do that stand in for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from eanet.device import find_compiler
from eanet.models import kernels
from eanet.models.double_normalization import _normalize_and_drop, double_normalize
from eanet.models.dropout import Dropout, random_bytes
from eanet.models.softmax import _softmax_and_drop, softmax_and_drop

TYPES = [torch.float32, torch.bfloat16]
SEED = torch.tensor(2**61 + 5)

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler here")


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has no compiler."""
    monkeypatch.setattr(kernels, "load", lambda **_: None)


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty cache folder, with nothing loaded yet."""
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path))
    kernels.load.cache_clear()
    yield tmp_path
    kernels.load.cache_clear()


def both(function, x: Tensor, upstream: Tensor, patch: pytest.MonkeyPatch) -> list[list[Tensor]]:
    """Results and gradient, with kernels and without."""
    found = []
    for load in (kernels.load, lambda **_: None):
        with patch.context() as context:
            context.setattr(kernels, "load", load)
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
    assert kernels.load(BFLOAT16=kernels.NUMBERS[dtype], HEADS=shape[2], SLOTS=shape[3])
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
@pytest.mark.parametrize("shape", [(2, 4, 33, 33), (5, 1), (3, 256)])
def test_softmax(shape, threshold, dtype, monkeypatch):
    assert kernels.load(BFLOAT16=kernels.NUMBERS[dtype])
    torch.manual_seed(0)
    x, upstream = (3 * torch.randn(shape)).to(dtype), torch.randn(shape).to(dtype)
    ours, expected = both(
        lambda leaf: _softmax_and_drop(leaf, SEED, threshold), x, upstream, monkeypatch
    )
    assert_close(ours, expected, dtype)


@pytest.mark.parametrize("count", [1, 13, 2**18 + 3])
def test_random_bytes_are_the_same_with_and_without_a_compiler(count, monkeypatch):
    ours = random_bytes(SEED, count)
    monkeypatch.setattr(kernels, "load", lambda **_: None)
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
    assert softmax_and_drop(logits, Dropout())[0, 3, 1].isnan().all()


@pytest.mark.parametrize("function", [double_normalize, softmax_and_drop])
def test_the_gradient_passes_where_the_values_did(function):
    torch.manual_seed(0)
    x = torch.randn(2, 16, 4, 8, requires_grad=True)
    y = function(x, Dropout(0.5).train())
    upstream = torch.randn_like(y)
    (whole,) = torch.autograd.grad(y, x, upstream, retain_graph=True)
    (kept,) = torch.autograd.grad(y, x, upstream * y.detach().ne(0))
    assert y.eq(0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(whole, kept)


@needs_compiler
def test_kernels_are_built_once(unbuilt, monkeypatch):
    assert kernels.load() is not None
    (built,) = (unbuilt / "kernels").iterdir()
    kernels.load.cache_clear()
    monkeypatch.setattr(kernels.subprocess, "run", None)
    assert kernels.load() is not None
    assert list((unbuilt / "kernels").iterdir()) == [built]


@pytest.mark.parametrize("compiler", [None, "false", "/no/such/compiler"])
def test_a_compiler_that_is_missing_or_fails_costs_nothing_but_speed(
    unbuilt, compiler, monkeypatch
):
    monkeypatch.setattr(kernels, "find_compiler", lambda: compiler)
    assert kernels.load() is None
    assert random_bytes(SEED, 5).shape == (5,)
    assert not list(unbuilt.rglob("*.so"))


def test_a_folder_that_cannot_be_written_costs_nothing_but_speed(unbuilt, monkeypatch):
    (unbuilt / "kernels").write_text("in the way")
    assert kernels.load() is None
    assert random_bytes(SEED, 5).shape == (5,)
