"""The eanet family: its switches, its baselines, and what the compiler makes of it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from eanet import EanetError, create_model
from eanet.config import Recipe
from eanet.device import has_compiler
from eanet.models.operations import multiply_adds
from eanet.models.token_mixing import MIXINGS
from eanet.training.optimizer import parameter_groups

SMALL = {"dim": 16, "depth": 2, "attention_blocks": 2, "slots": 8}
SMALL |= {"num_classes": 5, "image_size": 16}


def images(count: int = 2, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("eanet_nano", 0.25e6, 0.30e6), ("eanet_tiny", 0.3e6, 0.37e6), ("eanet_small", 1e6, 4e6)],
)
def test_sizes_stay_within_their_budget(name, least, most):
    assert least < create_model(name).num_parameters <= most


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("conv", [True, False])
def test_every_way_of_mixing_trains(mixing, conv):
    model = create_model("eanet_tiny", **SMALL, mixing=mixing, conv=conv)
    F.cross_entropy(model(images()), torch.tensor([0, 1])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("settings", [{"mixing": "self"}, {"mixing": "none"}])
def test_baselines_of_about_the_same_size_are_a_setting_away(settings):
    ours, other = create_model("eanet_tiny"), create_model("eanet_tiny", **settings)
    assert other.num_parameters == pytest.approx(ours.num_parameters, rel=0.07)


def test_attention_can_be_left_to_the_last_blocks():
    model = create_model("eanet_tiny", depth=4, attention_blocks=1)
    there = [block.attention is not None for block in model.blocks]
    assert there == [False, False, False, True]
    assert multiply_adds(model) < multiply_adds(
        create_model("eanet_tiny", depth=4, attention_blocks=4)
    )


def test_tokens_do_not_mix_without_attention_and_convolution():
    model = create_model("eanet_tiny", mixing="none", conv=False).eval()
    x = torch.randn(1, 64, 96)
    other = x.clone()
    other[:, 0] += 1
    changed = (model.blocks(x) != model.blocks(other)).any(dim=2)
    assert changed.sum().item() == 1


def test_norms_and_positions_do_not_decay_but_convolutions_do():
    model = create_model("eanet_tiny", **SMALL)
    decayed, kept = parameter_groups(model, Recipe(weight_decay=0.1))
    names = {id(p): name for name, p in model.named_parameters()}
    decayed_names = {names[id(p)] for p in decayed["params"]}
    kept_names = {names[id(p)] for p in kept["params"]}
    assert {
        "embedding.position",
        "embedding.stages.0.norm.weight",
        "blocks.0.mlp.conv.1.weight",
        "norm.weight",
    } <= kept_names
    assert {
        "embedding.stages.0.convolution.weight",
        "blocks.0.mlp.conv.0.weight",
        "pooling.score.weight",
    } <= decayed_names


def test_large_images_cost_more_tokens_only_up_to_14_by_14():
    model = create_model("eanet_tiny", image_size=224, depth=1)
    assert model.forward_features(images(1, 224)).shape == (1, 196, 96)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixing": "externl"}, "did you mean 'external'"),
        ({"patch_size": 6}, "patch_size=6 must be a power of 2"),
        ({"heads": 5}, "heads=5 must divide"),
        ({"drop_path": 1.5}, "at least 0 and below 1"),
        ({"blocks": 3}, "eanet_tiny: unknown setting 'blocks'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(EanetError, match=message):
        create_model("eanet_tiny", **settings)


@pytest.mark.slow
@pytest.mark.skipif(not has_compiler("cpu"), reason="no C++ compiler here")
@pytest.mark.parametrize(
    ("mixing", "backend"),
    # A graph that has been recorded whole is the compiler's business: one of them goes through it.
    [("external", "inductor"), ("self", "aot_eager")],
)
def test_compiles_as_one_graph_with_the_same_result(mixing, backend):
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = create_model("eanet_tiny", **SMALL | {"depth": 1}, mixing=mixing)
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend=backend)
    torch.testing.assert_close(compiled(images()), model(images()), atol=1e-5, rtol=1e-4)
