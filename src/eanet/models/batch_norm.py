"""Batch normalisation of tokens."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from eanet.ops.batch_norm import batch_norm
from eanet.ops.dispatch import is_compiled_on_cpu


class TokenBatchNorm(nn.BatchNorm1d):
    """Normalises each channel over all tokens of a batch; running statistics in evaluation.

    Ioffe and Szegedy, 2015, arXiv 1502.03167. After a convolution it gives higher accuracy than
    LayerNorm (docs/results.md). In distributed training, each process has its own statistics,
    unless ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` has replaced the layer.

    Args:
        dim: width of the tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)``, or ``(B * N, dim)``, to the same shape."""
        rows = x.flatten(0, -2)  # (B * N, dim)
        follows = self.momentum is not None and self.running_mean is not None
        if not (self.training and follows and len(rows) > 1 and is_compiled_on_cpu(x)):
            return super().forward(rows).view_as(x)
        y, mean, inverse_std = batch_norm(rows, self.weight, self.bias, self.eps)
        self._update_statistics(len(rows), mean, inverse_std)
        return y.view_as(x)

    @torch.no_grad()
    def _update_statistics(self, count: int, mean: Tensor, inverse_std: Tensor) -> None:
        """Move the running statistics towards those of a batch of ``count`` tokens."""
        momentum = cast(float, self.momentum)
        unbiased = (inverse_std**-2 - self.eps) * (count / (count - 1))
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(unbiased, momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)
