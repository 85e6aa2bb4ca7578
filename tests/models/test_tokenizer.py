"""The convolutional tokenizer and the depthwise convolution of tokens."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from eanet.device import has_compiler
from eanet.models.depthwise import DepthwiseConvolution, NormalizedDepthwiseConvolution
from eanet.models.tokenizer import ConvTokenizer, patch_size_for


@pytest.mark.parametrize(
    ("size", "patch", "grid"),
    [(1, 1, 1), (8, 1, 8), (14, 1, 14), (15, 2, 8), (32, 4, 8), (33, 4, 9), (224, 16, 14)],
)
def test_the_patch_follows_the_image_so_that_tokens_stay_few(size, patch, grid):
    assert patch_size_for(size) == patch
    tokenizer = ConvTokenizer(size, patch, 3, 32)
    assert tokenizer.grid == grid
    assert tokenizer(torch.randn(2, 3, size, size)).shape == (2, grid**2, 32)


def test_a_token_sees_beyond_its_patch_but_not_far():
    tokenizer = ConvTokenizer(32, 4, 3, 16).eval()
    images = torch.randn(100, 3, 32, 32, requires_grad=True)  # of each, pooling takes other pixels
    token = 2 * 8 + 5  # its own are rows 8 to 11 and columns 20 to 23
    (gradient,) = torch.autograd.grad(tokenizer(images)[:, token].pow(2).sum(), images)
    seen = gradient.abs().sum((0, 1)).nonzero()
    assert seen.amin(0).tolist() == [2, 14]
    assert seen.amax(0).tolist() == [14, 26]


def test_an_image_depends_on_its_batch_in_training_alone():
    tokenizer, images = ConvTokenizer(16, 2, 1, 24), torch.randn(3, 1, 16, 16)
    assert not torch.allclose(tokenizer(images)[1:2], tokenizer(images[1:2]))
    tokenizer.eval()
    torch.testing.assert_close(tokenizer(images)[1:2], tokenizer(images[1:2]))


def test_layout_in_memory_does_not_matter():
    tokenizer, images = ConvTokenizer(16, 4, 3, 24), torch.randn(2, 3, 16, 16)
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(tokenizer(last), tokenizer(images))


@pytest.mark.parametrize("patch", [0, 3, 12, -4])
def test_a_patch_that_is_no_power_of_two_is_refused(patch):
    with pytest.raises(ValueError, match=f"patch_size={patch} must be a power of 2"):
        ConvTokenizer(32, patch, 3, 16)


def test_depthwise_convolution_of_tokens_is_that_of_the_map_they_are():
    torch.manual_seed(0)
    layer = DepthwiseConvolution(6)
    plain = nn.Conv2d(6, 6, 3, padding=1, groups=6)
    plain.load_state_dict(layer.state_dict())
    maps = torch.randn(2, 6, 5, 5)
    expected = plain(maps).flatten(2).mT  # (B, N, d)
    torch.testing.assert_close(layer(maps.flatten(2).mT), expected)
    with pytest.raises(RuntimeError):
        layer(torch.randn(2, 24, 6))  # 24 is no square


def test_in_evaluation_one_convolution_does_what_it_and_the_norm_do():
    torch.manual_seed(0)
    layer = NormalizedDepthwiseConvolution(6)
    convolution, norm = layer
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    for _ in range(3):
        layer(2 * torch.randn(4, 25, 6) + 1)  # the norm learns what there is
    x = torch.randn(2, 25, 6)
    layer.eval()
    torch.testing.assert_close(layer(x), norm(convolution(x)))
    ours = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    theirs = torch.autograd.grad(norm(convolution(x)).square().sum(), list(layer.parameters()))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


class Together(torch.nn.ModuleList):
    """Each layer with an input of its own."""

    def forward(self, xs):
        return [layer(x) for layer, x in zip(self, xs, strict=True)]


def results(call, layers, xs, autocast):
    """What layers compute in training, all gradients, and what they remember."""
    xs = [x.detach().requires_grad_() for x in xs]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        ys = call(xs)
    upstream = [torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y) for y in ys]
    torch.autograd.backward(ys, upstream)
    grads = [tensor.grad for tensor in (*xs, *layers.parameters())]
    return [*ys, *grads, *layers.buffers()]


@pytest.mark.slow
@pytest.mark.skipif(not has_compiler("cpu"), reason="no C++ compiler here")
@pytest.mark.parametrize(
    ("autocast", "cases"),
    [  # every pair of two of kind, size and autocast; those of one row are compiled together
        (
            True,
            [
                (NormalizedDepthwiseConvolution, 5, 6),
                (NormalizedDepthwiseConvolution, 4, 1),
                (DepthwiseConvolution, 1, 3),
            ],
        ),
        (
            False,
            [
                (NormalizedDepthwiseConvolution, 1, 3),
                (DepthwiseConvolution, 5, 6),
                (DepthwiseConvolution, 4, 1),
            ],
        ),
    ],
)
def test_compiled_depthwise_convolutions_train_as_otherwise(autocast, cases):
    torch.manual_seed(0)
    layers = Together(make(dim) for make, _, dim in cases)
    for parameter in layers.parameters():
        torch.nn.init.normal_(parameter)
    same = copy.deepcopy(layers)
    xs = [2 * torch.randn(3, side**2, dim) + 1 for _, side, dim in cases]
    ours = results(torch.compile(same, dynamic=False, fullgraph=True), same, xs, autocast)
    theirs = results(layers, layers, xs, autocast)
    rtol = 0.02 if autocast else 1e-5
    torch.testing.assert_close(ours, theirs, atol=rtol, rtol=rtol)


def test_the_operators_keep_pytorchs_rules_for_operators():
    x, kernel = torch.randn(2, 9, 4, requires_grad=True), torch.randn(4, 1, 3, 3)
    torch.library.opcheck(torch.ops.eanet.depthwise.default, (x, kernel.requires_grad_()))
    rows, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((8, 4), (4,), (4,)))
    torch.library.opcheck(torch.ops.eanet.batch_norm.default, (rows, weight, bias, 1e-5))
