"""AdamW with its parameter groups, and the learning rate at each step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from eanet.config import Recipe

BETAS = (0.9, 0.999)


def parameter_groups(
    model: nn.Module, weight_decay: float, decay_all: bool
) -> list[dict[str, object]]:
    """Weights that decay, and those that do not.

    Unless ``decay_all``, only the weight matrices of layers decay: norms, biases and position
    embeddings are left alone.
    """
    decayed: list[Tensor] = []
    kept: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_weight = parameter.ndim >= 2 and name.endswith("weight")
            (decayed if decay_all or is_weight else kept).append(parameter)
    groups = [(decayed, weight_decay), (kept, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def create_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2017, arXiv 1711.05101) as the recipe sets it."""
    return torch.optim.AdamW(
        parameter_groups(model, recipe.weight_decay, recipe.decay_all),
        lr=recipe.learning_rate,
        betas=BETAS,
        eps=recipe.epsilon,
        fused=True,
    )


def learning_rate(recipe: Recipe, progress: float) -> float:
    """The learning rate after ``progress`` epochs (a fraction counts the steps within one).

    Linear warm-up from 0, then constant, or a cosine to 0 at the last step (Loshchilov and Hutter,
    2016, arXiv 1608.03983).
    """
    warmup = recipe.warmup_epochs
    if progress < warmup:
        return recipe.learning_rate * progress / warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    part = (progress - warmup) / max(recipe.epochs - warmup, 1e-9)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


def set_step(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, progress: float) -> None:
    """Set learning rate and epsilon for step number ``step`` (from 0), ``progress`` epochs on.

    With ``epsilon_hat`` epsilon stands beside the uncorrected second moment, as in the formula just
    before section 2.1 of Kingma and Ba, 2014, arXiv 1412.6980, and in Keras; PyTorch adds its own
    after the correction by ``sqrt(1 - beta2 ** t)``.
    """
    rate = learning_rate(recipe, progress)
    epsilon = recipe.epsilon
    if recipe.epsilon_hat:
        epsilon /= math.sqrt(1 - BETAS[1] ** (step + 1))
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["eps"] = epsilon
