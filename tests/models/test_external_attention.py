"""External attention: the four identities it is built on, and the layer in other models."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from eanet import ExternalAttention, ExternalAttention2d
from eanet.device import has_compiler
from eanet.ops import external_attention as fused_attention
from eanet.ops.double_normalization import double_normalize
from eanet.ops.kernels import find_compiler


def two_step_normalize(logits: Tensor) -> Tensor:
    """The paper's own form: softmax over tokens, then division by the sum over slots.

    Without the customary 1e-9: where all of a token's weights are small, that is no rounding error.
    """
    attention = logits.softmax(dim=1)
    return attention / attention.sum(dim=-1, keepdim=True)


def textbook(layer: ExternalAttention, x: Tensor, *, dead_biases: bool = True) -> Tensor:
    """The layer's function written out: four linear maps, two normalisations."""
    b, n, _ = x.shape
    q = x @ layer.query.weight.T
    if dead_biases and layer.query.bias is not None:
        q = q + layer.query.bias
    logits = q.reshape(b, n, layer.heads, layer.head_dim) @ layer.key_memory.weight.T
    if dead_biases and layer.key_memory.bias is not None:
        logits = logits + layer.key_memory.bias
    values = layer.value_memory(two_step_normalize(logits))
    return layer.output(values.reshape(b, n, layer.heads * layer.head_dim))


def randomised(layer: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter random, biases too: at zero they would prove nothing."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.5)
    return layer.double()


sizes = st.integers(1, 4)
seeds = st.integers(0, 2**31)
layers = st.builds(
    lambda heads, width, coefficient, slots, all_biases, seed: randomised(
        ExternalAttention(
            heads * width, heads, slots, coefficient=coefficient, all_biases=all_biases
        ),
        seed,
    ),
    sizes, sizes, sizes, st.integers(1, 24), st.booleans(), seeds,
)  # fmt: skip


@given(st.tuples(sizes, st.integers(1, 9), sizes, st.integers(1, 9)), seeds, st.floats(0.1, 30))
def test_closed_form_equals_the_two_normalisations(shape, seed, scale):
    torch.manual_seed(seed)
    logits = torch.randn(shape, dtype=torch.float64) * scale
    torch.testing.assert_close(
        double_normalize(logits), two_step_normalize(logits), atol=1e-12, rtol=1e-9
    )


def test_weights_of_a_token_sum_to_one_even_in_half_precision_and_far_from_zero():
    logits = torch.randn(2, 7, 3, 5, dtype=torch.float16) * 1000
    attention = double_normalize(logits)
    assert attention.dtype == torch.float16
    assert attention.isfinite().all()
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 7, 3).half(), atol=2e-3, rtol=0)


@given(st.tuples(sizes, st.integers(1, 9), sizes, st.integers(1, 9)), seeds, st.floats(0.1, 30))
def test_its_gradient_is_that_of_the_two_normalisations(shape, seed, scale):
    torch.manual_seed(seed)
    logits = (torch.randn(shape, dtype=torch.float64) * scale).requires_grad_()
    upstream = torch.randn(shape, dtype=torch.float64)
    (ours,) = torch.autograd.grad(double_normalize(logits), logits, upstream)
    (expected,) = torch.autograd.grad(two_step_normalize(logits), logits, upstream)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-8)


def test_its_gradient_in_bfloat16_is_as_good_as_bfloat16():
    torch.manual_seed(0)
    exact = torch.randn(2, 64, 4, 16, dtype=torch.float64).bfloat16().double().requires_grad_()
    half = exact.detach().bfloat16().requires_grad_()
    upstream = torch.randn_like(half)
    (ours,) = torch.autograd.grad(double_normalize(half), half, upstream)
    (expected,) = torch.autograd.grad(double_normalize(exact), exact, upstream.double())
    error = ((ours.double() - expected).norm() / expected.norm()).item()
    assert error < 2**-8  # half a unit in the last of bfloat16's 8 binary places


@given(layers, seeds)
def test_what_is_constant_over_tokens_cancels(layer, seed):
    torch.manual_seed(seed)
    x = torch.randn(2, 6, layer.dim, dtype=torch.float64)
    torch.testing.assert_close(
        textbook(layer, x), textbook(layer, x, dead_biases=False), atol=1e-9, rtol=1e-7
    )


@given(layers, seeds, st.booleans())
def test_multiplying_the_weights_first_changes_neither_values_nor_gradients(layer, seed, first):
    torch.manual_seed(seed)
    x = torch.randn(2, 6, layer.dim, dtype=torch.float64)
    target = torch.randn_like(x)
    layer.weights_first = first

    def gradients(y: Tensor) -> list[Tensor]:
        live = [p for p in layer.parameters() if p.requires_grad]
        return list(torch.autograd.grad((y * target).sum(), live))

    ours, expected = layer(x), textbook(layer, x)
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-7)
    for a, b in zip(gradients(ours), gradients(expected), strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-6)


@given(layers, seeds)
def test_tokens_learn_of_each_other_through_one_number_a_slot_and_head_alone(layer, seed):
    torch.manual_seed(seed)
    x = torch.randn(2, 6, layer.dim, dtype=torch.float64)
    order = torch.randperm(6)
    torch.testing.assert_close(layer(x)[:, order], layer(x[:, order]), atol=1e-9, rtol=1e-7)

    # A token's result follows from its own logits and the logsumexp of all tokens' logits.
    q = (x @ layer.query.weight.T).reshape(2, 6, layer.heads, layer.head_dim)
    logits = q @ layer.key_memory.weight.T
    summary = logits.logsumexp(dim=1, keepdim=True)
    assert summary.shape == (2, 1, layer.heads, layer.slots)
    expected = (logits[:, :1] - summary).softmax(-1)
    torch.testing.assert_close(layer.attention(x)[:, :1], expected, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize(
    ("dim", "heads", "slots", "first"), [(64, 16, 16, True), (64, 16, 64, False)]
)
def test_the_cheaper_order_of_multiplication_is_chosen(dim, heads, slots, first):
    assert ExternalAttention(dim, heads, slots).weights_first is first


def test_dead_biases_are_kept_for_their_count_but_not_trained():
    layer = ExternalAttention(64, 16, 16, all_biases=True)
    assert sum(p.numel() for p in layer.parameters()) == 16640 + 272 + 272 + 16448
    assert not layer.query.bias.requires_grad
    assert not layer.key_memory.bias.requires_grad
    layer(torch.randn(2, 5, 64)).sum().backward()
    assert all(p.grad is not None for p in layer.parameters() if p.requires_grad)


def test_dropout_falls_on_the_attention_map_and_on_the_result():
    x = torch.randn(1, 64, 32)
    mapped = ExternalAttention(32, 4, 16, dropout=0.5).train()
    assert not torch.equal(mapped(x), mapped(x))
    result = ExternalAttention(32, 4, 16, output_dropout=0.5).train()
    assert result(x).eq(0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(result.eval()(x), result.eval()(x))


def test_feature_maps_are_tokens_in_another_order():
    torch.manual_seed(0)
    layer = ExternalAttention2d(24, heads=4)
    maps = torch.randn(2, 24, 5, 7)
    tokens = maps.permute(0, 2, 3, 1).reshape(2, 35, 24)
    of_tokens = ExternalAttention(24, heads=4)
    of_tokens.load_state_dict(layer.state_dict())
    expected = of_tokens(tokens).reshape(2, 5, 7, 24).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer(maps), expected)
    torch.testing.assert_close(layer.attention(maps), of_tokens.attention(tokens))
    torch.testing.assert_close(layer.attention_maps(maps), of_tokens.attention_maps(tokens))


needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler here")


@needs_compiler
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("images", "tokens"), [(7, 9), (1, 1), (4, 64)])
def test_fused_is_the_same_function(images, tokens, dtype, dropout, monkeypatch):
    layer = ExternalAttention(24, heads=6, slots=5, dropout=dropout, all_biases=True)
    layer = randomised(layer).float().train()
    x = torch.randn(images, tokens, 24, requires_grad=True)
    upstream = torch.randn(images, tokens, 24)
    live = [x, *(p for p in layer.parameters() if p.requires_grad)]
    monkeypatch.setattr(fused_attention, "GROUP_BYTES", 1)  # so that there are several groups

    def run() -> tuple[Tensor, ...]:
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = layer(x)
        assert y.dtype == dtype
        return y, *torch.autograd.grad(y, live, upstream.to(y.dtype))

    fused = run()
    monkeypatch.setattr("eanet.models.external_attention.can_fuse", lambda *_: False)
    for ours, expected in zip(fused, run(), strict=True):
        unit = 1e-5 if dtype == torch.float32 else 2**-5
        error = (ours - expected).norm() / (expected.norm() + 1e-3)
        assert error.item() < unit


@needs_compiler
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_without_gradients_keeps_no_map_and_is_the_same(dtype, dropout):
    layer = randomised(ExternalAttention(24, heads=6, slots=5, dropout=dropout)).to(dtype)
    x = torch.randn(7, 9, 24).to(dtype)

    def run() -> Tensor:
        torch.manual_seed(1)
        return layer(x)

    kept = run()
    with torch.no_grad():
        assert torch.equal(run(), kept)
    w_in, w_out = torch.randn(30, 24), torch.randn(24, 30)
    operands = torch.randn(7, 9, 24), w_in, w_out, 6, torch.zeros((), dtype=torch.int64), 0
    for keeps in (True, False):
        _, *for_backward = torch.ops.eanet.attend(*operands, keeps)
        assert [t.numel() > 0 for t in for_backward] == [keeps, keeps]


@needs_compiler
@pytest.mark.parametrize("switched", [False, True])
def test_tokens_and_weights_of_different_types_are_refused_fused_or_not(switched, monkeypatch):
    if switched:
        monkeypatch.setattr("eanet.models.external_attention.can_fuse", lambda *_: False)
    layer, x = ExternalAttention(24, heads=6, slots=5), torch.randn(2, 3, 24)
    with pytest.raises(RuntimeError, match="dtype"):
        layer(x.bfloat16())
    with pytest.raises(RuntimeError, match="dtype"):
        layer.double()(x)


@needs_compiler
def test_fused_differs_where_another_image_or_token_comes_in():
    torch.manual_seed(0)
    layer = ExternalAttention(24, heads=6, slots=5)
    x = torch.randn(5, 9, 24)
    whole = layer(x)
    torch.testing.assert_close(layer(x[3:4]), whole[3:4])
    x[3, 0] += 1
    changed = layer(x) - whole
    assert changed[[0, 1, 2, 4]].abs().max().item() == 0
    assert changed[3].abs().amin(dim=1).gt(0).all()


@pytest.mark.parametrize("shape", [(4, 24), (2, 3, 5, 24), (2, 5, 23)])
def test_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"takes tokens \(B, N, 24\)"):
        ExternalAttention(24, heads=4)(torch.randn(shape))


@pytest.mark.parametrize("shape", [(24, 4, 4), (2, 5, 5, 24), (2, 24, 5), (2, 24, 2, 2, 2)])
def test_feature_maps_of_another_shape_are_refused_as_such(shape):
    with pytest.raises(ValueError, match=r"takes feature maps \(B, 24, H, W\), not"):
        ExternalAttention2d(24, heads=4)(torch.randn(shape))


@pytest.mark.parametrize("name", ["dim", "heads", "slots", "coefficient"])
def test_a_size_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be 1 or more"):
        ExternalAttention(**{"dim": 24, name: 0})


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads=5 must divide"):
        ExternalAttention(24, heads=5, coefficient=1)


@pytest.mark.slow
@pytest.mark.parametrize("slots", [8, 64])
def test_compiles_without_a_graph_break(slots):
    layer, x = ExternalAttention(32, heads=8, slots=slots, dropout=0.1), torch.randn(2, 9, 32)
    torch._dynamo.reset()
    explained = torch._dynamo.explain(layer)(x)
    assert explained.graph_break_count == 0
    assert explained.graph_count == 1


@pytest.mark.slow
@pytest.mark.skipif(not has_compiler("cpu"), reason="no C++ compiler here")
def test_compiled_gives_the_same():
    layer, x = ExternalAttention(32, heads=8, slots=16).eval(), torch.randn(2, 9, 32)
    compiled = torch.compile(layer, fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x), atol=1e-5, rtol=1e-4)


def test_exports_with_any_number_of_images_and_tokens():
    layer = ExternalAttention(32, heads=8, slots=16).eval()
    dims = {"x": {0: torch.export.Dim("B"), 1: torch.export.Dim("N")}}
    program = torch.export.export(layer, (torch.randn(2, 9, 32),), dynamic_shapes=dims)
    x = torch.randn(3, 17, 32)
    torch.testing.assert_close(program.module()(x), layer(x), atol=1e-5, rtol=1e-4)


def test_drops_into_any_model():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        ExternalAttention2d(16, heads=4, slots=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 2),
    )
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
