"""How much a model computes."""

from __future__ import annotations

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
    counter = FlopCounterMode(display=False)
    # Of the fused kernels of self-attention, the counter does not know the one for CPUs.
    was_training = model.training
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model.eval()(image)  # which leaves the statistics of batch normalisation alone
    model.train(was_training)
    return int(counter.get_total_flops()) // 2
