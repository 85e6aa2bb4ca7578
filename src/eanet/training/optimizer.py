"""The optimiser with its parameter groups, and the learning rate at each step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from eanet.config import Recipe, ResolvedSettings
from eanet.training.muon import Muon

BETAS = (0.9, 0.999)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Group the parameters: those that Muon steps (if used), others that decay, and the rest.

    Unless the recipe decays all, only the weight matrices of layers decay; norms, biases and
    position embeddings do not. Muon steps the matrices inside blocks, which map tokens to tokens,
    and convolutions, each kernel as one matrix.
    """
    matrices: list[Tensor] = []
    decayed: list[Tensor] = []
    undecayed: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_weight = parameter.ndim >= 2 and name.endswith("weight")
            is_matrix = parameter.ndim == 2 and name.startswith("blocks.")
            # Not those of depthwise convolutions, each of whose filters sees only its own channel.
            is_kernel = parameter.ndim == 4 and parameter.shape[1] > 1
            if is_weight and (is_matrix or is_kernel) and recipe.optimizer == "muon":
                matrices.append(parameter)
            else:
                (decayed if recipe.decay_all or is_weight else undecayed).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": recipe.weight_decay, "orthogonal": True},
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def create_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2017, arXiv 1711.05101) or Muon; `set_step` sets the rate."""
    make = Muon if recipe.optimizer == "muon" else torch.optim.AdamW
    return make(parameter_groups(model, recipe), betas=BETAS, eps=recipe.epsilon, fused=True)


def learning_rate(settings: ResolvedSettings, progress: float) -> float:
    """The learning rate after ``progress`` epochs (a fraction counts the steps within one).

    Linear warm-up from 0, then constant, or a cosine to 0 at the last step (Loshchilov and Hutter,
    2016, arXiv 1608.03983).
    """
    highest, warmup = settings.learning_rate, settings.warmup_epochs
    if progress < warmup:
        return highest * progress / warmup
    if settings.schedule == "constant":
        return highest
    part = (progress - warmup) / max(settings.epochs - warmup, 1e-9)
    return highest * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


def set_step(
    optimizer: torch.optim.Optimizer, settings: ResolvedSettings, step: int, progress: float
) -> None:
    """Set learning rate and epsilon for step ``step`` (from 0), after ``progress`` epochs.

    With ``epsilon_hat``, epsilon is added to the root of the uncorrected second moment, as in the
    formula just before section 2.1 of Kingma and Ba, 2014, arXiv 1412.6980, and in Keras. PyTorch
    adds it after the correction by ``sqrt(1 - beta2 ** t)``.
    """
    rate = learning_rate(settings, progress)
    epsilon = settings.epsilon
    if settings.epsilon_hat:
        epsilon /= math.sqrt(1 - BETAS[1] ** (step + 1))
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["eps"] = epsilon
