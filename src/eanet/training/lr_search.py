"""Search for a learning rate: the range test of Smith, 2017, arXiv 1506.01186."""

from __future__ import annotations

import copy
import math
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric

from eanet.config import ResolvedSettings
from eanet.console import progress_bar
from eanet.data.imageset import ImageSet
from eanet.models import Classifier
from eanet.training.optimizer import set_step
from eanet.training.range_test import HIGHEST, LOWEST, STEPS, RangeTest
from eanet.training.teacher import Teacher
from eanet.training.updates import Updates

DIVERGED = 4.0  # times the lowest loss so far, as in fastai


def range_test(
    settings: ResolvedSettings,
    images: ImageSet,
    fabric: Fabric,
    model: Classifier,
    teacher: Teacher | None = None,
) -> RangeTest:
    """Train a copy of a model for some steps at a learning rate that rises exponentially.

    The copy sees the same batches as the first steps of the run. The test ends early if the loss
    diverges.
    """
    settings = settings.model_copy(
        update={"schedule": "constant", "warmup_epochs": 0.0, "compile": "off"}
    )
    trial = copy.deepcopy(model).to(fabric.device)
    updates = Updates(trial, settings, images, fabric, teacher)
    rates, losses = np.geomspace(LOWEST, HIGHEST, STEPS), []
    recent = lowest = math.nan
    with progress_bar() as bar:
        for step in bar.track(range(STEPS), description="searching for a learning rate"):
            at = settings.model_copy(update={"learning_rate": float(rates[step])})
            set_step(updates.optimizer, at, step, 0)
            sums = updates(*divmod(step, len(updates.batches)))
            total, _, _, count = cast(
                torch.Tensor, fabric.all_reduce(sums, reduce_op="sum")
            ).tolist()
            loss = total / count
            recent = 0.8 * recent + 0.2 * loss if step else loss
            if not math.isfinite(recent) or recent > DIVERGED * (lowest if step else loss):
                break
            lowest = min(lowest, recent) if step else recent
            losses.append(loss)
    return RangeTest(rates[: len(losses)], np.array(losses))
