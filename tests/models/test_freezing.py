"""Which part of a model learns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from eanet import EanetError, create_model
from eanet.models import Classifier
from eanet.models.freezing import freeze, refit_statistics


def model(name: str = "eanet_nano", **settings: object) -> Classifier:
    torch.manual_seed(0)
    return create_model(name, num_classes=3, image_size=16, dim=16, depth=2, **settings)


def learning(network: Classifier) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


def test_everything_learns_unless_it_is_frozen() -> None:
    network = model()
    before = learning(network)
    freeze(network, "off")
    assert learning(network) == before


def test_of_a_frozen_trunk_the_head_alone_learns() -> None:
    network = model()
    freeze(network, "trunk")
    assert learning(network) == {"head.weight", "head.bias"}


def test_memories_learn_with_the_norms_around_them() -> None:
    network = model()
    freeze(network, "all-but-memories")
    block = "blocks.1."
    norms = {f"{block}{n}_norm.{p}" for n in ("attention", "mlp") for p in ("weight", "bias")}
    memories = {f"{block}attention.key_memory.weight"}
    memories |= {n for n in learning(network) if "value_memory" in n}
    head = {"head.weight", "head.bias", "norm.weight", "norm.bias"}
    assert learning(network) == norms | memories | head


@pytest.mark.parametrize("mixing", ["self", "none"])
def test_without_memories_there_is_nothing_to_leave_out(mixing: str) -> None:
    with pytest.raises(EanetError, match=r"all-but-memories: eanet_nano has no .*use trunk"):
        freeze(model(mixing=mixing), "all-but-memories")


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    for count in (8, 8, 4):
        pixels = torch.randint(90, 110, (count, 3, 16, 16), generator=generator)
        yield pixels.to(torch.uint8), torch.zeros(count)


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    network = model()
    freeze(network, "trunk")
    norms = [m for m in network.train().modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms
    before = [m.running_mean.clone() for m in norms]
    pixels, _ = next(batches())
    answers = network(pixels)
    assert all(torch.equal(m.running_mean, b) for m, b in zip(norms, before, strict=True))
    torch.testing.assert_close(answers, network.eval()(pixels))
    assert network.train().training
    assert not any(m.training for m in norms)


def test_statistics_are_measured_anew_on_other_images() -> None:
    network, pixels = model(), torch.cat([pixels for pixels, _ in batches()])
    refit_statistics(network, batches())
    first = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    seen: list[Tensor] = []
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network.eval()(pixels)
    expected = seen[0].mean((0, 2, 3))  # the batches of 8, 8 and 4 count alike
    torch.testing.assert_close(first.running_mean, expected, atol=0.02, rtol=0)
    momentum = {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    assert momentum == {0.1}
