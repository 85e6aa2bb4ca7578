"""Initial weights are those of the published networks: what was measured depends on them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eanet import create_model
from tests.support.settings import blocks

ATTENTION = "blocks.0.attention."


def glorot(outputs: int, inputs: int) -> float:
    return math.sqrt(6 / (inputs + outputs))


# The bound of a uniform distribution. In Keras, q, k and v have weights of their own.
UNIFORM = [
    ("keras_eanet", "embedding.projection.weight", glorot(64, 12)),
    ("keras_eanet", "embedding.position", 0.05),
    ("keras_eanet", ATTENTION + "query.weight", glorot(256, 64)),
    ("keras_eanet", ATTENTION + "key_memory.weight", glorot(16, 16)),
    ("keras_eanet", ATTENTION + "value_memory.weight", glorot(16, 16)),
    ("keras_eanet", ATTENTION + "output.weight", glorot(64, 256)),
    ("keras_eanet", "blocks.0.mlp.fc1.weight", glorot(64, 64)),
    ("keras_eanet", "head.weight", glorot(100, 64)),
    ("keras_vit", ATTENTION + "qkv.weight", glorot(256, 64)),
    ("keras_vit", ATTENTION + "output.weight", glorot(64, 256)),
]
# The standard deviation of a normal distribution, of a convolution after which half is cut off.
NORMAL = [
    ("eanet_tiny", "embedding.stages.0.convolution.weight", math.sqrt(2 / (9 * 3))),
    ("eanet_tiny", "embedding.stages.1.convolution.weight", math.sqrt(2 / (9 * 48))),
    ("eanet_tiny", "embedding.position", 0.02),
    ("eanet_tiny", "blocks.0.mlp.conv.0.weight", math.sqrt(2 / 9)),
]


def initial(model: str, name: str) -> Tensor:
    torch.manual_seed(0)
    return create_model(model, **blocks(model, 1)).state_dict()[name]


@pytest.mark.parametrize(("model", "name", "bound"), UNIFORM)
def test_uniform_ones_fill_their_bounds(model, name, bound):
    weight = initial(model, name)
    assert 0.9 * bound < weight.abs().max().item() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize(("model", "name", "deviation"), NORMAL)
def test_normal_ones_have_their_deviation(model, name, deviation):
    assert initial(model, name).std().item() == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize("model", ["keras_eanet", "keras_vit", "eanet_tiny"])
def test_biases_start_at_zero(model):
    weights = create_model(model).state_dict()
    ours = (
        "query",
        "key_memory",
        "value_memory",
        "output",
        "qkv",
        "fc1",
        "fc2",
        "projection",
        "head",
    )
    biases = [w for n, w in weights.items() if n.endswith(".bias") and n.split(".")[-2] in ours]
    assert biases
    assert not any(bias.any() for bias in biases)
