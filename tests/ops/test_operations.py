"""PyTorch's counter of operations counts the same inside operators as of the formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eanet import ExternalAttention, create_model
from eanet.models import SelfAttention, self_attention
from eanet.models.depthwise import DepthwiseConvolution
from eanet.models.operations import multiply_adds
from eanet.ops import depthwise, kernels
from eanet.ops import self_attention as fused_self_attention

LAYERS = {
    "external attention": (ExternalAttention(16, 4, 8), (2, 9, 16)),
    "external attention, weights last": (ExternalAttention(8, 4, 16, 1), (2, 9, 8)),
    "self-attention": (SelfAttention(16, 4), (2, 9, 16)),
    "depthwise convolution": (DepthwiseConvolution(16), (2, 9, 16)),
}


def operations(layer: nn.Module, shape: tuple[int, ...], *, grad: bool) -> int:
    x = torch.randn(shape, requires_grad=grad)
    with torch.set_grad_enabled(grad), FlopCounterMode(display=False) as counter:
        y = layer(x)
        if grad:
            y.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_an_operator_counts_as_its_formula_does(name, grad, monkeypatch):
    layer, shape = LAYERS[name]
    monkeypatch.setattr(depthwise, "is_compiled_on_cpu", lambda _: True)
    found = operations(layer, shape, grad=grad)
    if grad and name == "depthwise convolution":  # PyTorch counts each filter for every channel
        assert found == 3 * operations(layer, shape, grad=False)
        return
    monkeypatch.setattr(depthwise, "is_compiled_on_cpu", lambda _: False)
    monkeypatch.setattr(kernels, "_library", None)
    monkeypatch.setattr(self_attention, "goes_inside", lambda *_: False)
    monkeypatch.setattr(self_attention, "needs_formulas", lambda _: True)
    assert found == operations(layer, shape, grad=grad) > 0


def test_a_map_that_is_computed_anew_counts_again(monkeypatch):
    layer, shape = LAYERS["self-attention"]
    kept = operations(layer, shape, grad=True)
    monkeypatch.setattr(fused_self_attention, "KEPT_BYTES", 0)
    product = 2 * 2 * 4 * 9 * 9 * 4  # B, h, N, N, k
    assert operations(layer, shape, grad=True) - kept == product


@pytest.mark.parametrize("name", ["vit", "eanet_tiny", "keras_eanet"])
def test_a_model_counts_the_same_with_kernels_and_without(name, monkeypatch):
    model = create_model(name, num_classes=4)
    found = multiply_adds(model)
    monkeypatch.setattr(kernels, "_library", None)
    assert multiply_adds(model) == found
