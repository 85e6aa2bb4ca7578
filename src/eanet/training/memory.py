"""What a training needs of the machine's memory, estimated before it begins."""

from __future__ import annotations

import copy

import psutil
import torch
from torch import Tensor

from eanet.config import ResolvedSettings
from eanet.console import notice
from eanet.memory import available_memory
from eanet.models import Classifier

SAMPLE = 2  # images; batch normalisation needs more than one
GIB = 2**30
TRANSIENT = 1.25  # gradients and results on their way, beside what autograd keeps


def activation_bytes(model: Classifier, batch_size: int) -> int:
    """Return the bytes that autograd keeps of a batch of images for the backward pass.

    Measured on a copy of the model with two images, and proportional to their number.
    """
    model = copy.deepcopy(model).train()
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # storages stay alive, so that none counts twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    size = model.config.image_size
    images = torch.zeros(SAMPLE, model.config.in_channels, size, size, dtype=torch.uint8)
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        model(images).float().logsumexp(1).sum()
    return sum(storage.nbytes() for storage in kept.values()) * batch_size // SAMPLE


def training_bytes(model: Classifier, batch_size: int) -> int:
    """Estimate the peak memory of a training on a CPU, images included if they are loaded.

    Within a sixth of the peak measured for the networks of the Keras example and `eanet_tiny`, not
    compiled (docs/performance.md); compiled, it is less.
    """
    parameters = sum(p.nbytes for p in model.parameters())
    needed = TRANSIENT * activation_bytes(model, batch_size) + 4 * parameters  # AdamW keeps two
    return int(psutil.Process().memory_info().rss + needed)


def warn_of_memory(settings: ResolvedSettings, model: Classifier) -> None:
    """Say so if a training on a CPU will probably not fit into this machine or container."""
    if settings.device != "cpu":
        return
    needed, there = training_bytes(model, settings.batch_size), available_memory()
    taken = psutil.Process().memory_info().rss  # part of what is needed, no longer of what is left
    if needed - taken > there:
        notice(
            f"this training needs about {needed / GIB:.1f} GiB of memory, and "
            f"{(there + taken) / GIB:.1f} GiB are there: it may be killed; a --batch-size below "
            f"{settings.batch_size} needs less"
        )
