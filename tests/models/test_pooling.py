"""From tokens to one vector an image."""

from __future__ import annotations

import torch

from eanet.models.pooling import MeanPooling, SequencePooling


def test_sequence_pooling_begins_as_the_mean():
    x = torch.randn(2, 7, 5)
    torch.testing.assert_close(SequencePooling(5)(x), MeanPooling()(x))


def test_sequence_pooling_is_an_average_with_learned_weights():
    torch.manual_seed(0)
    layer, x = SequencePooling(5), torch.randn(2, 7, 5)
    torch.nn.init.normal_(layer.score.weight)
    weights = torch.softmax(x @ layer.score.weight[0], dim=1)  # (B, N)
    torch.testing.assert_close(layer(x), torch.einsum("bn,bnd->bd", weights, x))
    # A constant token is the average of itself, whatever the weights.
    constant = x[:, :1].expand_as(x)
    torch.testing.assert_close(layer(constant), x[:, 0])
