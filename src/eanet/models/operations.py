"""Count the operations of a model."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from eanet.models.classifier import Classifier

# PyTorch's fused self-attention for CPUs, which its counter does not know.
CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def multiply_adds(model: Classifier) -> int:
    """Count the multiply-adds of one image's forward pass by running it.

    Only matrix products and convolutions count, including those of `scaled_dot_product_attention`;
    softmax, norms and elementwise operations do not. If weights are multiplied with each
    other first, that product counts as well as the product of the tokens with the result.
    """
    size = model.config.image_size
    image = torch.zeros(1, model.config.in_channels, size, size, dtype=torch.uint8)
    counter = FlopCounterMode(display=False, custom_mapping={CPU_ATTENTION: _attention})
    was_training = model.training
    with counter, torch.no_grad():
        model.eval()(image)  # leaves batch normalisation statistics unchanged
    model.train(was_training)
    return int(counter.get_total_flops()) // 2


def _attention(q: Any, k: Any, v: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Count the operations of attention to shapes ``(B, h, N, k)``."""
    return int(sdpa_flop_count(q, k, v))
