"""How much a model computes."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from eanet.models.classifier import Classifier


def multiply_adds(model: Classifier) -> int:
    """Multiply-adds of one image's forward pass, counted while it runs.

    Only matrix products and convolutions count, those of `scaled_dot_product_attention` included;
    softmax, norms and other work on single numbers do not. Where weights are multiplied with each
    other first, these products count, and then those of the tokens with what comes out.
    """
    size = model.config.image_size
    image = torch.zeros(1, model.config.in_channels, size, size, dtype=torch.uint8)
    known = {torch.ops.eanet.attend: _attend_flops}
    counter = FlopCounterMode(display=False, custom_mapping=known)
    # Of the fused kernels of self-attention, the counter does not know the one for CPUs.
    was_training = model.training
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model.eval()(image)  # which leaves the statistics of batch normalisation alone
    model.train(was_training)
    return int(counter.get_total_flops()) // 2


def _attend_flops(x: torch.Size, w_in: torch.Size, w_out: torch.Size, *_: Any, **__: Any) -> int:
    """Of both matrix products of external attention, which are one operator on a CPU."""
    return 2 * x[:-1].numel() * (w_in.numel() + w_out.numel())
