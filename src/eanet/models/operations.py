"""Count the operations of a model."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from eanet.models.classifier import Classifier


def multiply_adds(model: Classifier) -> int:
    """Count the multiply-adds of one image's forward pass by running it.

    Only matrix products and convolutions count, including those of `scaled_dot_product_attention`;
    softmax, norms and elementwise operations do not. If weights are multiplied with each
    other first, that product counts as well as the product of the tokens with the result.
    """
    size = model.config.image_size
    image = torch.zeros(1, model.config.in_channels, size, size, dtype=torch.uint8)
    counter = FlopCounterMode(display=False)
    # SDPBackend.MATH, as the counter does not know the fused self-attention for CPUs.
    was_training = model.training
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model.eval()(image)  # leaves batch normalisation statistics unchanged
    model.train(was_training)
    return int(counter.get_total_flops()) // 2
