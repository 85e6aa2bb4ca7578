"""What models hand out of their attention."""

from __future__ import annotations

import pytest
import torch

from eanet import ExternalAttention, create_model
from eanet.models import SelfAttention, models, self_attention
from eanet.models.attention_maps import AttentionMaps
from tests.support.settings import blocks

PIXELS = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0))


def memory() -> ExternalAttention:
    torch.manual_seed(0)
    return ExternalAttention(12, heads=2, slots=5, coefficient=1)


def test_the_result_of_external_attention_is_the_sum_of_what_its_slots_add():
    layer, x = memory(), torch.randn(3, 7, 12)
    added = torch.einsum("bnhs,hsd->bnd", layer.attention(x), layer.slot_outputs(x))
    torch.testing.assert_close(added + layer.output.bias, layer(x), atol=1e-5, rtol=1e-4)


def test_the_share_of_a_slot_is_what_it_adds_beyond_the_mean_of_the_tokens():
    layer, x = memory(), torch.randn(3, 7, 12)
    a, outputs = layer.attention(x), layer.slot_outputs(x)
    added = torch.einsum("bnhs,hsd->bnhsd", a, outputs)
    beyond = (added - added.mean(1, keepdim=True)).norm(dim=-1).sum(1)
    maps = layer.attention_maps(x)
    torch.testing.assert_close(maps.shares, beyond / beyond.sum((1, 2), keepdim=True))
    torch.testing.assert_close(maps.weights, a.permute(0, 2, 3, 1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shares_are_finite_numbers_in_every_type(dtype):
    large = torch.full((1, 4, 8), 30_000, dtype=dtype)  # in float16, the total is beyond all
    shares = AttentionMaps.of(large, large).shares
    assert shares.dtype == dtype
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / 32))
    nothing = torch.zeros(1, 4, 8, dtype=dtype)  # one token differs from no other
    assert not AttentionMaps.of(nothing, nothing).shares.any()


@pytest.mark.parametrize("at_a_time", [3, 256])
def test_self_attention_tells_what_tokens_receive_and_what_each_head_adds(monkeypatch, at_a_time):
    monkeypatch.setattr(self_attention, "QUERIES_AT_A_TIME", at_a_time)
    torch.manual_seed(0)
    layer, x = SelfAttention(12, heads=3, head_dim=5), torch.randn(2, 7, 12)
    maps = layer.attention_maps(x)
    q, k, _ = (t.reshape(2, 7, 3, 5).transpose(1, 2) for t in layer.qkv(x).chunk(3, dim=-1))
    received = (q @ k.mT / 5**0.5).softmax(-1).mean(2, keepdim=True)  # (B, h, 1, N)
    torch.testing.assert_close(maps.weights, received)
    added = []
    for head in range(3):
        alone = torch.zeros_like(layer.output.weight)
        kept = slice(5 * head, 5 * head + 5)
        alone[:, kept] = layer.output.weight[:, kept]
        with torch.no_grad():
            whole, layer.output.weight[:] = layer.output.weight.clone(), alone
            y = layer(x)
            layer.output.weight[:] = whole
        added.append((y - y.mean(1, keepdim=True)).norm(dim=-1).sum(1))
    expected = torch.stack(added, 1)
    torch.testing.assert_close(maps.shares[..., 0], expected / expected.sum(1, keepdim=True))


@pytest.mark.parametrize("name", [entry.name for entry in models()])
def test_every_model_hands_out_maps_over_its_tokens_for_each_layer_with_attention(name):
    torch.manual_seed(0)
    model = create_model(name, image_size=16, num_classes=3, **blocks(name, 3)).eval()
    some = {"keras_mlp": (), "eanet_nano": (2,), "eanet_tiny": (2,), "eanet_small": (1, 2)}
    assert model.attention_layers == some.get(name, (0, 1, 2))
    for layer in range(3):
        if layer not in model.attention_layers:
            with pytest.raises(ValueError, match="block without attention"):
                model.attention_maps(PIXELS, layer)
            continue
        maps = model.attention_maps(PIXELS, layer)
        assert maps.weights.shape == (*maps.shares.shape, model.embedding.grid**2)
        assert (maps.weights >= 0).all()
        torch.testing.assert_close(maps.shares.sum((1, 2)), torch.ones(2))


@pytest.mark.parametrize("layer", [1, 2])
def test_maps_are_of_what_the_layer_is_given_when_the_model_runs(layer):
    torch.manual_seed(0)
    model = create_model("eanet_nano", image_size=16, depth=3, attention_blocks=2).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    attention = model.blocks[layer].attention
    given = []
    attention.register_forward_hook(lambda _module, inputs, _result: given.append(inputs[0]))
    model(PIXELS)
    assert model.attention_layers == (1, 2)
    maps = model.attention_maps(PIXELS, layer)
    torch.testing.assert_close(maps.weights, attention.attention_maps(given[0]).weights)
