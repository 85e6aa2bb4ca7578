"""A moving average of the weights, which often generalises better than the weights themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``model``; call ``update_parameters`` after each step.

    Tarvainen and Valpola, 2017, arXiv 1703.01780. The decay rises as ``(1 + t) / (10 + t)`` to
    ``decay``, so that the random initial weights are soon forgotten. The statistics of batch
    normalisation are averaged like the weights.
    """

    def update(average: Tensors, current: Tensors, updates: Tensor | int) -> None:
        t = int(averages.n_averaged)  # on the CPU; reading ``updates`` would wait for the GPU
        now = min(decay, (1 + t) / (10 + t))
        if current[0].is_floating_point():
            torch._foreach_lerp_(average, current, 1 - now)
        else:  # counters
            torch._foreach_copy_(average, current)

    averages = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    return averages
