"""Parameter groups and the learning rate."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from eanet import create_model
from eanet.config import Recipe
from eanet.training.messages import show_settings
from eanet.training.muon import Muon
from eanet.training.optimizer import create_optimizer, learning_rate, parameter_groups, set_step
from tests.support.settings import resolved


def test_only_weight_matrices_decay():
    model = create_model("keras_eanet", num_transformer_blocks=1)
    decayed, kept = parameter_groups(model, Recipe(weight_decay=0.1))
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    decayed_names = {names[id(p)] for p in decayed["params"]}
    assert "blocks.0.attention.query.weight" in decayed_names
    assert "head.weight" in decayed_names
    kept_names = {names[id(p)] for p in kept["params"]}
    assert "embedding.position" in kept_names
    assert "blocks.0.mlp_norm.weight" in kept_names
    assert "head.bias" in kept_names
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert decayed_names | kept_names == trainable


def test_all_decay_where_the_recipe_says_so():
    model = create_model("keras_eanet", num_transformer_blocks=1)
    (group,) = parameter_groups(model, Recipe(weight_decay=0.1, decay_all=True))
    assert len(group["params"]) == sum(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("decay_all", [False, True])
def test_muon_takes_the_matrices_of_the_blocks_and_the_convolutions(decay_all):
    model = create_model("eanet_tiny:depth=1")
    recipe = Recipe(optimizer="muon", weight_decay=0.1, decay_all=decay_all)
    groups = parameter_groups(model, recipe)
    names = {id(p): name for name, p in model.named_parameters()}
    taken = {names[id(p)] for g in groups if g.get("orthogonal") for p in g["params"]}
    layers = ("query", "key_memory", "value_memory", "output")
    assert taken == {f"blocks.0.attention.{layer}.weight" for layer in layers} | {
        "blocks.0.mlp.fc1.weight",
        "blocks.0.mlp.fc2.weight",
        "embedding.stages.0.convolution.weight",
        "embedding.stages.1.convolution.weight",
    }
    assert sum(len(group["params"]) for group in groups) == len(names)
    assert groups[0]["weight_decay"] == 0.1
    assert isinstance(create_optimizer(model, recipe), Muon)


def test_warm_up_then_cosine_to_zero():
    settings = resolved(epochs=10, learning_rate=0.2, warmup_epochs=2)
    rates = [learning_rate(settings, t) for t in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.1, 0])
    beyond = [learning_rate(settings, 2 + t / 10) for t in range(81)]
    assert all(a >= b for a, b in pairwise(beyond))


def test_constant_stays_after_the_warm_up():
    settings = resolved(epochs=4, learning_rate=0.2, warmup_epochs=1, schedule="constant")
    assert [learning_rate(settings, t) for t in (0.5, 1, 4)] == pytest.approx([0.1, 0.2, 0.2])


def test_a_warm_up_as_long_as_the_training_is_no_division_by_zero():
    settings = resolved(epochs=2, learning_rate=0.2, warmup_epochs=2)
    assert math.isfinite(learning_rate(settings, 2))


@pytest.mark.parametrize("epsilon_hat", [False, True])
def test_epsilon_stands_where_the_recipe_puts_it(epsilon_hat):
    """One parameter with a constant gradient of the size of epsilon, against the formulas."""
    settings = resolved(
        learning_rate=0.5, schedule="constant", weight_decay=0, epsilon=1e-3,
        epsilon_hat=epsilon_hat,
    )  # fmt: skip
    model = torch.nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(1.0)
    optimizer = create_optimizer(model, settings)
    g, expected, m, v = 2e-3, 1.0, 0.0, 0.0
    for t in range(1, 5):
        set_step(optimizer, settings, t - 1, t)
        model.weight.grad = torch.full_like(model.weight, g)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        correction1, correction2 = 1 - 0.9**t, 1 - 0.999**t
        if epsilon_hat:  # Keras: alpha * m / (sqrt(v) + epsilon)
            expected -= 0.5 * correction2**0.5 / correction1 * m / (v**0.5 + 1e-3)
        else:  # PyTorch: m_hat / (sqrt(v_hat) + epsilon)
            expected -= 0.5 * (m / correction1) / ((v / correction2) ** 0.5 + 1e-3)
        assert model.weight.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("epochs", "is_said"), [(2, True), (3, True), (4, False)])
def test_a_rate_that_never_reaches_what_was_asked_for_is_said(
    epochs: int, is_said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = resolved(epochs=epochs, learning_rate=0.2, warmup_epochs=3)
    show_settings(settings, create_model("vit", num_classes=2, image_size=4, depth=1), "as asked")
    assert ("is below 0.2 throughout; --warmup-epochs" in capsys.readouterr().err) == is_said
