"""The moving average of weights, and of what batch normalisation has learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eanet.training.ema import averaged


def test_weights_and_statistics_are_averaged_and_counters_copied():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = averaged(model, 0.9)
    kept: dict[str, torch.Tensor] = {}
    for t in range(4):
        model(torch.randn(8, 3))  # moves the statistics
        with torch.no_grad():
            model[0].weight += 1
        average.update_parameters(model)
        now = min(0.9, (1 + t) / (10 + t)) if t else 0.0  # the first is taken as it is
        for name, tensor in model.state_dict().items():
            old = kept.get(name, tensor).double()
            kept[name] = now * old + (1 - now) * tensor.double()
    found = average.module.state_dict()
    assert int(found.pop("1.num_batches_tracked")) == 4
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.double(), kept[name], atol=1e-6, rtol=1e-6)
        if "running" in name:
            assert not torch.equal(tensor, model.state_dict()[name])


@pytest.mark.parametrize("decay", [0.1, 0.999])
def test_the_decay_rises_to_its_value(decay):
    model = nn.Linear(1, 1, bias=False)
    average = averaged(model, decay)
    nn.init.zeros_(model.weight)
    average.update_parameters(model)
    nn.init.ones_(model.weight)
    average.update_parameters(model)
    assert average.module.weight.item() == pytest.approx(1 - min(decay, 2 / 11))
