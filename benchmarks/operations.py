"""How much time the project's own operations save over the plain ones they replace, on a CPU.

    python -m benchmarks.operations

One thread, compiled, CPU time of forward and backward pass: medians of 15 calls after 2 to warm up.
Shapes are those of ``keras_eanet``, ``keras_vit`` and ``eanet_tiny``, with 32 images of 32 x 32, 8
for self-attention; bfloat16 where the processor has it, else float32; images always in float32.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.device import has_bf16, keep_freed_memory
from eanet.models.batch_norm import TokenBatchNorm
from eanet.models.depthwise import DepthwiseConvolution
from eanet.models.dropout import Dropout
from eanet.models.gelu import GELU
from eanet.models.max_pooling import MaxPooling
from eanet.ops.depthwise import depthwise
from eanet.ops.double_normalization import double_normalize
from eanet.ops.kernels import build_kernels
from eanet.ops.resample import resample
from eanet.ops.self_attention import fused_self_attention

CALLS, WARM_UP = 15, 2
DTYPE = torch.bfloat16 if has_bf16("cpu") else torch.float32


def plain_double_normalize(logits: Tensor) -> Tensor:
    """The closed form, differentiated by autograd."""
    wide = logits.float()
    return (wide - wide.logsumexp(dim=1, keepdim=True)).softmax(dim=-1).to(logits.dtype)


def plain_resample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def plain_max_pool(maps: Tensor) -> Tensor:
    return F.max_pool2d(maps, 3, stride=2, padding=1)


def plain_depthwise(tokens: Tensor, weight: Tensor) -> Tensor:
    maps = tokens.unflatten(1, (8, 8)).permute(0, 3, 1, 2)  # (B, d, 8, 8)
    convolved = F.conv2d(maps, weight, padding=1, groups=len(weight))
    return convolved.permute(0, 2, 3, 1).flatten(1, 2)  # (B, N, d)


def plain_batch_norm(tokens: Tensor, mean: Tensor, variance: Tensor, *affine: Tensor) -> Tensor:
    rows = tokens.flatten(0, 1)  # (B * N, d)
    return F.batch_norm(rows, mean, variance, *affine, training=True).view_as(tokens)


def milliseconds(call: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        call()
    taken = []
    for _ in range(CALLS):
        before = time.process_time()
        call()
        taken.append(1000 * (time.process_time() - before))
    return statistics.median(taken)


def both_passes(function: Callable[..., Tensor], *inputs: Tensor) -> float:
    torch._dynamo.reset()
    compiled = torch.compile(function, dynamic=False)
    needs_gradient = [x for x in inputs if x.requires_grad]

    def call() -> None:
        y = compiled(*inputs)
        if needs_gradient:
            torch.autograd.grad(y, needs_gradient, torch.ones_like(y))

    return milliseconds(call)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)

    def ones() -> Tensor:
        return torch.ones(2**24)

    rows = [("64 MiB of ones: memory handed back, kept", milliseconds(ones))]
    keep_freed_memory()
    build_kernels()
    for _ in range(20):  # until freed blocks are large enough to be reused
        ones()
    others = [milliseconds(ones)]
    gelu, plain_drop, drop = GELU(), torch.nn.Dropout(0.2).train(), Dropout(0.2).train()
    qkv = tuple(torch.randn(8, 4, 256, 64).to(DTYPE).requires_grad_() for _ in range(3))
    maps = torch.randn(32, 256, 16, 16).to(DTYPE).requires_grad_()
    tokens = torch.randn(32, 256, 64).to(DTYPE).requires_grad_()
    hidden = torch.randn(32, 64, 192).to(DTYPE).requires_grad_()
    convolution, norm = DepthwiseConvolution(192, bias=False).to(DTYPE), TokenBatchNorm(192)
    running = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    images = torch.rand(32, 3, 32, 32) * 255
    pixels = torch.randn(32, 48, 32, 32).to(DTYPE, memory_format=torch.channels_last)
    pixels.requires_grad_()
    grid = torch.rand(32, 32, 32, 2) * 2 - 1
    pairs: list[tuple[str, Callable[..., Tensor], Callable[..., Tensor], tuple[Tensor, ...]]] = [
        ("double normalisation", plain_double_normalize, double_normalize, (maps,)),
        (
            "double normalisation, dropout 0.2",
            lambda x: plain_drop(plain_double_normalize(x)),
            lambda x: double_normalize(x, *drop.draw()),
            (maps,),
        ),
        (
            "self-attention, dropout 0.2",
            partial(F.scaled_dot_product_attention, dropout_p=0.2),
            lambda q, k, v: fused_self_attention(q / 8, k, v, *drop.draw()),
            qkv,
        ),
        (
            "self-attention, forward alone",
            F.scaled_dot_product_attention,
            lambda q, k, v: fused_self_attention(q / 8, k, v),
            tuple(t.detach() for t in qkv),
        ),
        ("dropout 0.2 of tokens", plain_drop, drop, (tokens,)),
        ("GELU", torch.nn.GELU(approximate="tanh"), gelu, (tokens,)),
        ("max pooling of a feature map", plain_max_pool, MaxPooling(), (pixels,)),
        (
            "depthwise convolution of tokens",
            plain_depthwise,
            lambda x, weight: depthwise(x, weight),
            (hidden, convolution.weight),
        ),
        (
            "batch normalisation, GELU, dropout 0.2",
            lambda x, *affine: drop(gelu(plain_batch_norm(x, *running, *affine))),
            lambda x, *_: drop(gelu(norm(x))),
            (hidden, norm.weight, norm.bias),
        ),
        ("resampling, forward alone", plain_resample, resample, (images, grid)),
    ]
    for name, plain, own, inputs in pairs:
        rows.append((name, both_passes(plain, *inputs)))
        others.append(both_passes(own, *inputs))
    print(f"{'':42}{'plain, ms':>12}{'own, ms':>12}{'times':>8}")
    for (name, plain_ms), own_ms in zip(rows, others, strict=True):
        print(f"{name:42}{plain_ms:12.2f}{own_ms:12.2f}{plain_ms / own_ms:8.1f}")


if __name__ == "__main__":
    main()
