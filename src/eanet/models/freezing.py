"""Freeze a part of a trained model, so that fine-tuning changes the rest alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from eanet.config import Freeze
from eanet.errors import WrongArgumentError
from eanet.models.block import Block
from eanet.models.classifier import Classifier
from eanet.models.external_attention import ExternalAttention


def freeze(model: Classifier, what: Freeze) -> None:
    """Let only a part of a model learn; frozen batch normalisation keeps its statistics as well.

    Args:
        model: the model.
        what: ``trunk``: only the head learns; ``all-but-memories``: the head, the memories of
            external attention and the norms around them; ``off``: everything, as it is.

    Raises:
        EanetError: the model has no memories.
    """
    if what == "off":
        return
    learns: list[Tensor] = [*model.head.parameters()]
    if what == "all-but-memories":
        memories = list(_memories(model))
        if not memories:
            raise WrongArgumentError(
                f"freeze={what}: {model.config.name} has no external attention here; use trunk"
            )
        learns += [*memories, *model.norm.parameters()]
    model.requires_grad_(False)
    for parameter in learns:
        parameter.requires_grad_(True)


def _memories(model: Classifier) -> Iterator[Tensor]:
    for block in model.blocks:
        if isinstance(block, Block) and isinstance(block.attention, ExternalAttention):
            attention = block.attention
            yield attention.key_memory.weight
            yield from attention.value_memory.parameters()
            for norm in (block.attention_norm, block.mlp_norm):
                yield from norm.parameters()


def refit_statistics(model: Classifier, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    """Measure the statistics of batch normalisation anew.

    Args:
        model: none of whose batch normalisation is frozen.
        batches: of raw pixels ``(B, C, H, W)`` and labels, to measure them on. Each counts alike,
            so a last one of few images would count too much. Variances are those within batches,
            so each has to hold images of all kinds.
    """
    with torch.no_grad():
        update_bn(batches, model)  # reads no batch if there is none to measure for
