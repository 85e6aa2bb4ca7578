"""How much time the project's own operations save over the plain ones they replace, on a CPU.

    python benchmarks/operations.py

One thread, compiled, CPU time of forward and backward pass: medians of 15 calls after 2 to warm up.
Shapes are those of ``keras_eanet``, ``keras_vit`` and the tokenizer of ``eanet_tiny``, with 32
images of 32 x 32, 8 for self-attention; bfloat16, except for the images.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.data.augment.geometry import resample
from eanet.device import keep_freed_memory
from eanet.models.block import GELU
from eanet.models.double_normalization import double_normalize
from eanet.models.dropout import Dropout
from eanet.models.fused_self_attention import fused_self_attention
from eanet.models.max_pooling import MaxPooling

CALLS, WARM_UP = 15, 2


def plain_double_normalize(logits: Tensor) -> Tensor:
    """The closed form, differentiated by autograd."""
    wide = logits.float()
    return (wide - wide.logsumexp(dim=1, keepdim=True)).softmax(dim=-1).to(logits.dtype)


def plain_resample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def plain_max_pool(maps: Tensor) -> Tensor:
    return F.max_pool2d(maps, 3, stride=2, padding=1)


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
    for _ in range(20):  # until freed blocks are large enough to be reused
        ones()
    others = [milliseconds(ones)]
    plain_drop, drop, none = torch.nn.Dropout(0.2).train(), Dropout(0.2).train(), Dropout()
    qkv = tuple(torch.randn(8, 4, 256, 64).bfloat16().requires_grad_() for _ in range(3))
    maps = torch.randn(32, 256, 16, 16).bfloat16().requires_grad_()
    tokens = torch.randn(32, 256, 64).bfloat16().requires_grad_()
    images = torch.rand(32, 3, 32, 32) * 255
    pixels = torch.randn(32, 48, 32, 32).to(torch.bfloat16, memory_format=torch.channels_last)
    pixels.requires_grad_()
    grid = torch.rand(32, 32, 32, 2) * 2 - 1
    pairs: list[tuple[str, Callable[..., Tensor], Callable[..., Tensor], tuple[Tensor, ...]]] = [
        ("double normalisation", plain_double_normalize, double_normalize, (maps,)),
        (
            "double normalisation, dropout 0.2",
            lambda x: plain_drop(plain_double_normalize(x)),
            lambda x: double_normalize(x, drop),
            (maps,),
        ),
        (
            "self-attention, dropout 0.2",
            partial(F.scaled_dot_product_attention, dropout_p=0.2),
            lambda q, k, v: fused_self_attention(q / 8, k, v, drop),
            qkv,
        ),
        (
            "self-attention, forward alone",
            F.scaled_dot_product_attention,
            lambda q, k, v: fused_self_attention(q / 8, k, v, none),
            tuple(t.detach() for t in qkv),
        ),
        ("dropout 0.2 of tokens", plain_drop, drop, (tokens,)),
        ("GELU", torch.nn.GELU(approximate="tanh"), GELU(), (tokens,)),
        ("max pooling of a feature map", plain_max_pool, MaxPooling(), (pixels,)),
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
