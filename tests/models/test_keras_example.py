"""The Keras example's networks: the settings that they take from it."""

from __future__ import annotations

import pytest
import torch

from eanet import EanetError, create_model
from eanet.models.embedding import PatchEmbedding
from eanet.models.registry import all_settings

EXAMPLE = {
    "patch_size": 2,
    "embedding_dim": 64,
    "mlp_dim": 64,
    "num_heads": 4,
    "dim_coefficient": 4,
    "num_transformer_blocks": 8,
}


def test_the_examples_names_have_its_values():
    given = all_settings("keras_eanet", {})
    assert {name: given[name] for name in EXAMPLE} == EXAMPLE
    assert create_model("keras_eanet", **EXAMPLE).num_parameters == 361_380


def test_the_coefficient_multiplies_heads_and_divides_slots():
    attention = create_model("keras_eanet:dim_coefficient=2").blocks[0].attention
    assert (attention.heads, attention.slots, attention.head_dim) == (8, 32, 16)
    attention = create_model("keras_eanet:dim_coefficient=2,slots=64").blocks[0].attention
    assert (attention.heads, attention.slots) == (8, 64)


def test_heads_of_self_attention_are_as_wide_as_the_tokens_unless_told():
    assert create_model("keras_vit:embedding_dim=24").blocks[0].attention.head_dim == 24
    assert create_model("keras_vit:key_dim=16").num_parameters == create_model("vit").num_parameters


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, (0.2, 0.2, 0.2)),
        ({"attention_dropout": 0.1}, (0.1, 0.2, 0.2)),
        ({"projection_dropout": 0.0}, (0.2, 0.0, 0.2)),
        ({"mlp_dropout": 0.3, "attention_dropout": None}, (0.2, 0.2, 0.3)),
    ],
)
@pytest.mark.parametrize("name", ["keras_eanet", "eanet_nano", "eanet_nano:mixing=self"])
def test_dropouts_not_given_are_the_recipes(name, settings, rates):
    (*_, block) = create_model(name, dropout=0.2, **settings).blocks
    attention, mlp = block.attention, block.mlp
    assert (attention.dropout.p, attention.output_dropout.p, mlp.drop1.p) == rates
    assert mlp.drop2.p == mlp.drop1.p


@pytest.mark.parametrize("name", ["keras_vit", "vit"])
def test_self_attention_drops_nothing_of_its_result(name):
    settings = {"dropout": 0.2, "attention_dropout": 0.1, "mlp_dropout": 0.3}
    (block, *_) = create_model(name, **settings).blocks
    attention, mlp = block.attention, block.mlp
    assert (attention.dropout.p, attention.output_dropout.p, mlp.drop1.p) == (0.1, 0.0, 0.3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keras_eanet:num_heads=5", "num_heads=5 must divide embedding_dim=64"),
        ("keras_eanet:dim_coefficient=65", "dim_coefficient=65 must be at most embedding_dim=64"),
        ("keras_eanet:attention_dropout=1", "a dropout probability is at least 0 and below 1"),
        ("keras_eanet:coefficient=2", "unknown setting 'coefficient'; did you mean 'dim_coeff"),
        ("vit:patch_size=33", "patch_size=33 must be at most image_size=32"),
    ],
)
def test_what_does_not_fit_is_named(name, message):
    with pytest.raises(EanetError, match=message):
        create_model(name)


def test_only_whole_patches_are_seen():
    torch.manual_seed(0)
    embedding, images = PatchEmbedding(30, 4, 3, 8), torch.randn(2, 3, 30, 30)
    assert embedding.grid == 7
    tokens = embedding(images)
    images[..., 28:], images[..., 28:, :] = 9, 9
    assert torch.equal(embedding(images), tokens)
    images[..., 27] = 9
    assert not torch.equal(embedding(images), tokens)
