"""What users of PyTorch do with any module, they can do with these models."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from eanet import (
    EanetError,
    ExternalAttention,
    ExternalAttention2d,
    Predictor,
    create_model,
    load_dataset,
    load_model,
    save_model,
)
from eanet.models import SelfAttention, self_attention
from eanet.models.batch_norm import TokenBatchNorm
from eanet.models.depthwise import NormalizedDepthwiseConvolution
from eanet.models.dropout import Dropout
from eanet.ops import kernels
from tests.support.settings import blocks

NAMES = ["eanet_tiny", "keras_eanet", "vit", "eanet_tiny:mixing=self"]
every_model = pytest.mark.parametrize("name", NAMES)


def tiny(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, image_size=16, **blocks(name, 2)).eval()
    return model, torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)


@every_model
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_of_another_type_answers_nearly_the_same(name, dtype):
    model, pixels = tiny(name)
    expected = model(pixels)
    found = model.to(dtype)(pixels)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0)


@every_model
@pytest.mark.filterwarnings("ignore")  # of tracing, on shapes and on being old
def test_a_traced_model_holds_all_of_its_operations(name):
    model, pixels = tiny(name)
    with torch.no_grad():
        traced = torch.jit.trace(model, pixels, check_trace=False)
        torch.testing.assert_close(traced(255 - pixels), model(255 - pixels))
    assert "eanet::" not in str(traced.inlined_graph), "needs eanet to be loaded"


@every_model
def test_a_model_of_fake_tensors_gives_a_shape(name):
    model, _ = tiny(name)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        assert model(torch.empty(2, 3, 16, 16)).shape == (2, 4)


def test_fake_tensors_are_safe_outside_their_mode():
    with FakeTensorMode():
        layer, x = ExternalAttention(16, 4, 8).requires_grad_(False), torch.empty(2, 9, 16)
    assert layer(x).shape == (2, 9, 16)


@pytest.mark.parametrize("grad", [True, False])
def test_operations_are_counted_inside_the_attention(grad):
    layer, x = ExternalAttention(16, 4, 8), torch.randn(2, 9, 16)
    with torch.set_grad_enabled(grad), FlopCounterMode(display=False) as counter:
        layer(x)
    weights = 2 * 4 * 16 * 8 * 16  # on either side: heads, slots, inner width of a head, width
    assert counter.get_total_flops() == 2 * (weights + 2 * 9 * 2 * 16 * 4 * 8)


@every_model
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_torch_func_differentiates_by_image(name, training):
    model, pixels = tiny(f"{name},dropout=0.2" if ":" in name else f"{name}:dropout=0.2")
    for layer in model.modules():  # whose statistics no transform may change
        if isinstance(layer, Dropout):
            layer.train(training)
    parameters = dict(model.named_parameters())

    def loss(weights: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(model, weights, (image[None],)).square().sum()

    found = vmap(grad(loss), (None, 0), randomness="different")(parameters, pixels.float())
    assert all(g.shape == (2, *parameters[n].shape) for n, g in found.items())
    if not training:
        model(pixels[:1]).square().sum().backward()
        for n, parameter in parameters.items():
            if parameter.grad is not None:
                torch.testing.assert_close(found[n][0], parameter.grad, atol=1e-5, rtol=1e-3)


def test_torch_func_maps_attention_to_feature_maps_over_a_batch():
    layer, maps = ExternalAttention2d(8, 4, 8), torch.randn(2, 8, 5, 3)
    last = maps.contiguous(memory_format=torch.channels_last)
    for batch in (maps, last):
        torch.testing.assert_close(vmap(lambda x: layer(x[None])[0])(batch), layer(maps))


@pytest.mark.parametrize("coefficient", [1, 4])  # weights multiplied last, and first
def test_forward_mode_is_the_slope_along_a_direction(coefficient):
    torch.manual_seed(0)
    layer = ExternalAttention(16, 4, 64, coefficient).requires_grad_(False)
    x, direction = torch.randn(2, 2, 9, 16).unbind()
    exact, a, b = copy.deepcopy(layer).double(), x.double(), 1e-6 * direction.double()
    expected = ((exact(a + b) - exact(a - b)) / 2e-6).float()
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, direction))).tangent
    torch.testing.assert_close(tangent, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(jvp(layer, (x,), (direction,))[1], tangent)


@pytest.mark.parametrize(
    "layer",
    [
        ExternalAttention(16, 2, 4, 1),
        ExternalAttention(8, 4, 16, 1),  # weights multiplied last
        SelfAttention(16, 4),
        NormalizedDepthwiseConvolution(16),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_gradient_penalty_is_that_of_finite_differences(layer):
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).double().eval()
    width = 8 if getattr(layer, "dim", 16) == 8 else 16
    x = torch.randn(2, 4, width, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(x)

    def penalty(x: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        return slope.square().sum()

    (found,) = torch.autograd.grad(penalty(x), x)
    step = 1e-5 * direction
    expected = (penalty(x + step) - penalty(x - step)) / 2e-5
    torch.testing.assert_close((found * direction).sum(), expected, atol=1e-6, rtol=1e-6)


@every_model
def test_a_gradient_penalty_of_a_whole_model_reaches_its_weights(name):
    model, pixels = tiny(name)
    images = pixels.float().requires_grad_()
    (slope,) = torch.autograd.grad(model(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert images.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["vit", "keras_vit"])
def test_forward_mode_of_self_attention(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, image_size=16).double().eval().requires_grad_(False)
    x, direction = torch.rand(2, 1, 3, 16, 16, dtype=torch.float64).unbind()
    expected = (model(255 * (x + 1e-6 * direction)) - model(255 * (x - 1e-6 * direction))) / 2e-6
    _, tangent = jvp(lambda x: model(255 * x), (x,), (direction,))
    torch.testing.assert_close(tangent, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["eanet_nano", "keras_eanet", "vit"])
def test_a_model_in_double_precision_sees_the_smallest_change(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, image_size=16).double().eval()
    pixels = torch.rand(1, 3, 16, 16, dtype=torch.float64) * 255
    change = torch.zeros_like(pixels)
    change[0, 0, 3, 3] = 1e-7  # float32 steps by 1e-5 here
    x = pixels.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x)[0, 0], x)
    assert slope.dtype == torch.float64
    with torch.no_grad():
        found = (model(pixels + change) - model(pixels - change))[0, 0] / 2e-7
    torch.testing.assert_close(found, slope[0, 0, 3, 3], atol=1e-7, rtol=1e-3)


@every_model
def test_autocast_leaves_double_precision_alone(name):
    model, pixels = tiny(name)
    expected = model.double()(pixels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(pixels), expected)


NO_TOKENS = [
    (ExternalAttention(16, 4, 8), (2, 0, 16)),
    (ExternalAttention(16, 4, 8), (0, 5, 16)),
    (ExternalAttention(16, 4, 64), (2, 0, 16)),
    (ExternalAttention2d(16, 4, 8), (2, 16, 0, 3)),
    (ExternalAttention2d(16, 4, 8), (0, 16, 2, 3)),
    (SelfAttention(16, 4), (2, 0, 16)),
    (SelfAttention(16, 4), (0, 5, 16)),
]


@pytest.mark.parametrize(("layer", "shape"), NO_TOKENS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_of_nothing_comes_nothing(layer, shape, dropout, dtype):
    layer = copy.deepcopy(layer).to(dtype).train()
    layer.dropout.p = dropout
    x = torch.zeros(shape, dtype=dtype, requires_grad=True)
    y = layer(x)
    assert y.shape == shape
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.shape == shape
    assert all(p.grad is None or not p.grad.isnan().any() for p in layer.parameters())
    with torch.no_grad():
        assert layer.eval()(x).shape == shape


@pytest.mark.parametrize("name", ["eanet_tiny", "eanet_tiny:dim=32,heads=4"])
def test_converting_batch_norms_for_several_gpus_changes_no_answer(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=4)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.normal_(layer.weight)
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        before = model.eval()(pixels)
        converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        assert any(isinstance(layer, nn.SyncBatchNorm) for layer in converted.modules())
        torch.testing.assert_close(converted(pixels), before, atol=1e-5, rtol=1e-4)


class Quantised(Tensor):
    """A weight that only a linear layer can multiply, as torchao's are."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            if function is nn.functional.linear:
                return function(*(a.as_subclass(Tensor) if type(a) is cls else a for a in args))
            if function in (torch.Tensor.matmul, torch.matmul, torch.Tensor.view, torch.einsum):
                raise NotImplementedError(function)
            result = function(*args, **(kwargs or {}))
            return result.as_subclass(cls) if function is Tensor.detach else result


@pytest.mark.parametrize("name", ["keras_eanet", "eanet_nano", "vit"])
def test_quantised_weights_are_multiplied_by_linear_layers_alone(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=4).eval()
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = model(pixels)
        maps = model.attention_maps(pixels, -1)
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                layer.weight = nn.Parameter(layer.weight.as_subclass(Quantised), False)
                assert type(layer.weight) is Quantised
        torch.testing.assert_close(model(pixels), expected, atol=1e-4, rtol=1e-4)
        for found, before in zip(model.attention_maps(pixels, -1), maps, strict=True):
            torch.testing.assert_close(found, before, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("layer", [ExternalAttention(16, 4, 8), SelfAttention(16, 4)])
def test_attention_takes_the_arguments_of_other_blocks_but_no_mask(layer):
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(layer(x, attn_mask=None, is_causal=False), layer(x))
    for mask in ({"attn_mask": torch.ones(5, 5)}, {"is_causal": True}):
        with pytest.raises(ValueError, match="attend to all tokens; pass attn_mask=None"):
            layer(x, **mask)
    with pytest.raises(ValueError, match="attend to all tokens"):
        ExternalAttention2d(16, 4, 8)(torch.randn(2, 16, 3, 3), is_causal=True)


class LowRank(nn.Module):
    """A layer with an update of low rank beside it, as peft wraps it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base
        self.down = nn.Linear(base.in_features, 1, bias=False)
        self.up = nn.Linear(1, base.out_features, bias=False)

    @property
    def weight(self) -> Tensor:
        return self.base_layer.weight

    @property
    def bias(self) -> Tensor | None:
        return self.base_layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.up(self.down(x))


LAYERS = pytest.mark.parametrize("name", ["query", "key_memory", "value_memory", "output"])


@pytest.mark.parametrize("kind", [ExternalAttention, SelfAttention])
def test_attention_maps_are_those_of_the_layers_that_stand_in(kind):
    torch.manual_seed(0)
    attention, x = kind(16, 4), torch.randn(2, 9, 16)
    expected_of_merged = copy.deepcopy(attention)
    attention.output = LowRank(attention.output)
    update = attention.output.up.weight @ attention.output.down.weight
    with torch.no_grad():
        expected_of_merged.output.weight += update
    before = kind.attention_maps(expected_of_merged, x)
    for found, expected in zip(attention.attention_maps(x), before, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_attention_maps_need_no_weight_of_a_layer_that_stands_in():
    torch.manual_seed(0)
    attention, x = ExternalAttention(16, 4, 8), torch.randn(2, 9, 16)
    expected = attention.attention_maps(x)
    attention.output = nn.Sequential(attention.output)  # as quantised layers, which have none
    for found, before in zip(attention.attention_maps(x), expected, strict=True):
        torch.testing.assert_close(found, before)


@LAYERS
def test_a_layer_that_is_replaced_is_called(name):
    torch.manual_seed(0)
    attention, x = ExternalAttention(16, 4, 8), torch.randn(2, 9, 16)
    before = attention(x)
    setattr(attention, name, LowRank(getattr(attention, name)))
    after = attention(x)
    assert not torch.allclose(after, before, atol=1e-3)
    after.sum().backward()
    assert getattr(attention, name).up.weight.grad.abs().max() > 0
    nn.init.zeros_(getattr(attention, name).up.weight)
    torch.testing.assert_close(attention(x), before)


@LAYERS
def test_a_layer_with_a_hook_is_called(name):
    torch.manual_seed(0)
    attention, x = ExternalAttention(16, 4, 8), torch.randn(2, 9, 16)
    layer, seen, before = getattr(attention, name), [], attention(x)
    for register in (
        layer.register_forward_hook,
        layer.register_forward_pre_hook,
        layer.register_full_backward_hook,
        layer.register_full_backward_pre_hook,
    ):
        handle = register(lambda *_: seen.append(name))
        y = attention(x)
        y.sum().backward()
        handle.remove()
        assert seen.pop() == name
        torch.testing.assert_close(y, before)
    layer.forward = lambda x: 0 * nn.Linear.forward(layer, x)  # as offloading patches it
    assert not torch.allclose(attention(x), before, atol=1e-3)
    del layer.forward
    prune.l1_unstructured(layer, "weight", 0.3)
    for _ in range(2):  # pruned weights are computed anew by each call
        attention(x).sum().backward()


@pytest.mark.parametrize("weights_first", [True, False])
@pytest.mark.parametrize("kind", [ExternalAttention, SelfAttention])
def test_dropout_that_is_replaced_or_has_a_hook_is_called(kind, weights_first):
    torch.manual_seed(0)
    attention, x = kind(16, 4), torch.randn(2, 9, 16)
    attention.weights_first = weights_first
    seen: list[Tensor] = []
    expected = attention(x)
    handle = attention.dropout.register_forward_hook(lambda *_: seen.append(_[2]))
    torch.testing.assert_close(attention(x), expected)
    assert seen[0].shape in ((2, 9, 4, 64), (2, 4, 9, 9))
    handle.remove()
    attention.dropout = nn.Dropout(0.5)
    assert not torch.allclose(attention(x), expected)
    attention.dropout = nn.Identity()
    torch.testing.assert_close(attention(x), expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("index", "other"), [(0, nn.Identity), (1, nn.LayerNorm)])
def test_a_replaced_convolution_or_norm_is_called(index, other, training):
    layer, x = NormalizedDepthwiseConvolution(8).train(training), torch.randn(2, 9, 8)
    layer[index] = other(8)
    torch.testing.assert_close(layer(x), layer[1](layer[0](x)))


@pytest.mark.parametrize(
    ("dtype", "tokens", "dropout", "trains", "own"),
    [
        (torch.float32, 1023, 0, True, True),
        (torch.float32, 1024, 0, True, False),
        (torch.float32, 1024, 0.5, True, True),
        (torch.float32, 64, 0.5, False, False),
        (torch.bfloat16, 1024, 0, False, True),
        (torch.bfloat16, 8191, 0, True, True),
        (torch.bfloat16, 8192, 0, True, False),
    ],
)
def test_self_attention_is_computed_by_the_better_operator(
    dtype, tokens, dropout, trains, own, monkeypatch
):
    monkeypatch.setattr(kernels, "_library", object())  # is there, and is not called
    assert _is_own(dtype, tokens, dropout, trains, monkeypatch) == own


@pytest.mark.parametrize(
    ("tokens", "dropout", "trains", "own"),
    [(64, 0, False, False), (64, 0, True, True), (1024, 0, True, False), (1024, 0.5, True, True)],
)
def test_without_kernels_self_attention_in_bfloat16_is_not_the_slower_operator(
    tokens, dropout, trains, own, monkeypatch
):
    monkeypatch.setattr(kernels, "_library", None)
    assert _is_own(torch.bfloat16, tokens, dropout, trains, monkeypatch) == own


def _is_own(dtype, tokens, dropout, trains, monkeypatch):
    def computes(q, *_, **__):
        used.append(True)
        return q

    used: list[bool] = []
    monkeypatch.setattr(self_attention, "fused_self_attention", computes)
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, *_, **__: q)
    layer = SelfAttention(2, 1, dropout=dropout).to(dtype).train(trains)
    with torch.no_grad():
        layer(torch.zeros(1, tokens, 2, dtype=dtype))
    return bool(used)


@pytest.mark.parametrize("own", [True, False])
def test_dropout_alone_can_be_put_into_training(own, monkeypatch):
    torch.manual_seed(0)
    if not own:
        monkeypatch.setattr(self_attention, "goes_inside", lambda *_: False)
    attention, x = SelfAttention(16, 4, dropout=0.5).eval(), torch.randn(2, 9, 16)
    certain = attention(x)
    attention.dropout.train()
    assert not torch.allclose(attention(x), certain)
    attention.train()
    attention.dropout.eval()
    torch.testing.assert_close(attention(x), certain)


@pytest.fixture
def elsewhere():
    """Another default device than that of the model: ``meta`` stands for a GPU."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@every_model
@pytest.mark.parametrize("built", [True, False])
def test_a_model_answers_on_its_own_device_whatever_the_default(name, built, request, monkeypatch):
    if not built:
        monkeypatch.setattr(kernels, "library", lambda *_: None)
    model, x = tiny(name)
    dropping = create_model(name, num_classes=4, image_size=16, dropout=0.5, **blocks(name, 2))
    expected = model(x).detach()
    request.getfixturevalue("elsewhere")
    torch.testing.assert_close(model(x).detach(), expected)
    dropping(x).sum().backward()
    assert dropping.head.weight.grad.isfinite().all()


def test_a_norm_put_back_into_training_learns_the_statistics():
    layer, x = NormalizedDepthwiseConvolution(8).eval(), 3 + torch.randn(4, 9, 8)
    layer[1].train()
    layer(x)
    assert layer[1].num_batches_tracked == 1
    norm = layer.eval()[1]
    norm.running_mean = norm.running_var = None  # as TENT does
    torch.testing.assert_close(layer(x).mean((0, 1)), torch.zeros(8), atol=1e-5, rtol=0)


def test_a_norm_that_averages_over_all_batches_does_so_when_compiled():
    norm, x = TokenBatchNorm(8).train(), 3 + torch.randn(4, 9, 8)
    norm.momentum = None  # as torch.optim.swa_utils.update_bn does
    torch.compile(norm, backend="eager")(x)
    torch.testing.assert_close(norm.running_mean, x.mean((0, 1)))
    norm.momentum, norm.running_mean, norm.running_var = 0.1, None, None
    torch.testing.assert_close(
        torch.compile(norm, backend="eager")(x).mean((0, 1)), torch.zeros(8), atol=1e-5, rtol=0
    )


def test_dropout_is_found_and_changed_like_that_of_pytorch():
    layer = Dropout(0.0).train()
    assert isinstance(layer, nn.Dropout)
    layer.p = 0.5
    assert layer(torch.ones(10_000)).eq(0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_feature_map_keeps_its_order_in_memory():
    layer, maps = ExternalAttention2d(8, 4, 8), torch.randn(2, 8, 5, 3)
    assert layer(maps).is_contiguous()
    last = maps.contiguous(memory_format=torch.channels_last)
    assert layer(last).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(last), layer(maps))


def test_a_compiled_model_is_saved_as_the_model_it_wraps(tmp_path):
    model, pixels = tiny("vit")
    drawn = torch.get_rng_state()
    save_model(torch.compile(model), tmp_path)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.equal(load_model(tmp_path)(pixels), model(pixels))
    for use in (Predictor, lambda m: save_model(m, tmp_path)):
        with pytest.raises(EanetError, match=r"a Classifier is needed, .*, not a Linear"):
            use(nn.Linear(1, 1))
    assert load_model(tmp_path).classes == model.classes


@pytest.mark.parametrize(
    "wrap", [AveragedModel, nn.DataParallel, lambda model: torch.compile(AveragedModel(model))]
)
def test_what_a_loop_has_wrapped_around_a_model_is_saved_without(wrap, tmp_path):
    model, pixels = tiny("vit")
    save_model(wrap(model), tmp_path)
    assert torch.equal(load_model(tmp_path)(pixels), model(pixels))


def test_weights_that_layers_share_are_saved_for_each(tmp_path):
    model, pixels = tiny("eanet_tiny")
    model.blocks[1].mlp.fc1.weight = model.blocks[0].mlp.fc1.weight
    expected = model(pixels)
    save_model(model, tmp_path)
    assert torch.equal(load_model(tmp_path)(pixels), expected)


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    model, pixels = tiny("vit")
    model.head = nn.Sequential(nn.Dropout(), nn.Linear(model.head.in_features, 4))
    assert Predictor(model).model(pixels).shape == (2, 4)
    with pytest.raises(EanetError, match=r"no longer vit: its head\.\S* was added, removed or"):
        save_model(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_replaced_head_that_the_class_names_do_not_fit_is_refused(tmp_path):
    model, _ = tiny("vit")
    model.head = nn.Sequential(nn.Dropout(), nn.Linear(model.head.in_features, 3))
    for use in (Predictor, lambda m: save_model(m, tmp_path)):
        with pytest.raises(EanetError, match=r"3 outputs, but the model names 4 classes; .*load_m"):
            use(model)
    assert not list(tmp_path.iterdir())


def test_a_copy_is_equal_and_its_description_has_a_hash():
    model, pixels = tiny("keras_eanet")
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(pixels), model(pixels))
        assert hash(copied.config) == hash(model.config)


@every_model
def test_gradients_lie_in_memory_as_their_weights(name):
    """As DistributedDataParallel asks, which warns otherwise."""
    model, pixels = tiny(name)
    model.train()(pixels).sum().backward()
    live = [p for p in model.parameters() if p.requires_grad]
    assert [p.grad.stride() for p in live] == [p.stride() for p in live]


def test_the_gradient_of_a_compiled_convolution_lies_in_memory_as_its_weights():
    x, weight = torch.randn(2, 9, 5), torch.randn(5, 1, 3, 3)
    assert torch.ops.eanet.depthwise_backward(x, x, weight)[1].stride() == weight.stride()


def test_images_go_from_a_loader_into_a_loop_of_ones_own():
    data = load_dataset("digits", image_size=12).train
    model = create_model("eanet_nano:dim=16,depth=1", classes=data.classes, image_size=12)
    images, labels = next(iter(DataLoader(data, batch_size=32)))
    assert images.dtype == torch.uint8
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    with pytest.raises(EanetError, match="did you mean 'image_size'"):
        load_dataset("digits", imagesize=12)
    assert torch.equal(labels, torch.from_numpy(data.labels[:32]))
    assert torch.equal(images[5], torch.from_numpy(data.images[5]).permute(2, 0, 1))
