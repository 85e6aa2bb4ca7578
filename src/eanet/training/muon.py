"""Muon for the weight matrices and convolutions of a model, AdamW for all else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from eanet.device import has_bf16

MOMENTUM = 0.95
STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: fast rather than exact
ADAM_SIZE = 0.2  # root mean square of the entries of AdamW's step at learning rate 1


def orthogonalize(matrices: Tensor) -> Tensor:
    """Approximate the nearest matrices with all singular values 1: ``(n, r, c)``, r <= c.

    Five Newton-Schulz steps: singular values above about 1/200 of the matrix's norm end between
    about 0.7 and 1.2, smaller ones below. The steps are taken in bfloat16 where the hardware has
    it; emulated, it takes 20 to 30 times as long as float32.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if has_bf16(matrices.device.type) else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT  # (n, r, r)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.float()


class Muon(torch.optim.AdamW):
    """AdamW whose groups with ``orthogonal=True`` take Muon's step instead.

    Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks",
    kellerjordan.github.io/posts/muon. The step is scaled to the size of AdamW's (Liu et al.,
    2025, "Muon is Scalable for LLM Training", arXiv 2502.16982, section 2.2), so that both share
    learning rate and weight decay. Unlike in PyTorch's own Muon, matrices of the same shape are
    stepped together, which takes half the time if they are small.

    Args:
        groups: parameter groups as for AdamW; those with ``orthogonal=True`` hold matrices, and
            kernels ``(r, ...)``, which are stepped as matrices of r rows.
        **options: options of AdamW.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], **options: Any) -> None:
        super().__init__([{"orthogonal": False, **group} for group in groups], **options)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Step every group."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["orthogonal"]]
        try:
            loss: float | None = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["orthogonal"]:
                self._step_matrices(group)
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        by_shape: defaultdict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in group["params"]:
            if (gradient := weight.grad) is not None:
                direction = self._direction(weight, gradient).flatten(1)  # (r, ...) -> (r, c)
                by_shape[direction.shape].append((weight, direction))
        for shape, pairs in by_shape.items():
            tall = shape[0] > shape[1]
            stacked = torch.stack([direction for _, direction in pairs])  # (n, r, c)
            orthogonal = orthogonalize(stacked.mT if tall else stacked)
            steps = orthogonal.mT if tall else orthogonal  # (n, r, c)
            size = group["lr"] * ADAM_SIZE * max(shape) ** 0.5
            for (weight, _), direction in zip(pairs, steps, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(direction.view_as(weight), alpha=-size)

    def _direction(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """Average of the gradient of a weight, with Nesterov momentum; both of its shape."""
        state = self.state[weight]
        if not state:  # AdamW expects a step in each state that it loads
            state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
        average: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(average, MOMENTUM)
