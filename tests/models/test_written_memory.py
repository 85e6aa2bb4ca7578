"""External attention with a memory that the image writes to."""

from __future__ import annotations

import torch

from eanet import ExternalAttention
from eanet.models.written_memory import WrittenExternalAttention

SIZES = {"dim": 12, "heads": 3, "slots": 5, "coefficient": 2}


def tokens() -> torch.Tensor:
    return torch.randn(2, 9, 12, generator=torch.Generator().manual_seed(0))


def test_order_of_tokens_goes_through_and_every_parameter_learns():
    torch.manual_seed(0)
    layer, x = WrittenExternalAttention(**SIZES), tokens()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.3)
    order = torch.randperm(9)
    torch.testing.assert_close(layer(x)[:, order], layer(x[:, order]), atol=1e-5, rtol=1e-4)
    layer(x).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_dropout_falls_on_the_map_and_on_the_result():
    x = tokens()
    for option in ("dropout", "output_dropout"):
        layer = WrittenExternalAttention(**SIZES, **{option: 0.5}).train()
        assert not torch.equal(layer(x), layer(x))
        assert torch.equal(layer.eval()(x), layer(x))


def test_weights_of_a_token_over_its_slots_sum_to_one():
    attention = WrittenExternalAttention(**SIZES).attention(tokens())
    assert attention.shape == (2, 9, 3, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 9, 3))


def test_a_closed_gate_is_external_attention_exactly():
    torch.manual_seed(0)
    written, plain = WrittenExternalAttention(**SIZES), ExternalAttention(**SIZES)
    missing = written.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert sorted(missing) == ["gate", "value.weight"]
    assert written.gate.eq(0).all()
    torch.testing.assert_close(written(tokens()), plain(tokens()))


def test_slots_gather_from_the_tokens_and_hand_back():
    """The definition, image by image and head by head."""
    torch.manual_seed(0)
    layer, x = WrittenExternalAttention(**SIZES), tokens()
    torch.nn.init.normal_(layer.gate)
    width = layer.head_dim
    logits = layer.logits(x)
    rows = []
    for b in range(2):
        heads = []
        for h in range(3):
            gather = logits[b, :, h].softmax(0)  # (N, S)
            read = gather / gather.sum(1, keepdim=True)
            values = x[b] @ layer.value.weight[h * width : (h + 1) * width].T  # (N, k)
            memory = layer.value_memory.weight.T + layer.gate[h, :, None] * (gather.T @ values)
            heads.append(read @ memory)
        rows.append(layer.output(torch.cat(heads, dim=1)))
    torch.testing.assert_close(layer(x), torch.stack(rows), atol=1e-5, rtol=1e-4)


def test_an_open_gate_carries_content_from_token_to_token():
    """Where all logits are alike, external attention tells tokens nothing; what is written does."""
    torch.manual_seed(0)
    layer, x = WrittenExternalAttention(**SIZES), tokens()
    torch.nn.init.zeros_(layer.query.weight)
    other = x.clone()
    other[:, 1:] += 1
    assert torch.equal(layer(x)[:, 0], layer(other)[:, 0])
    torch.nn.init.ones_(layer.gate)
    assert not torch.allclose(layer(x)[:, 0], layer(other)[:, 0])
