"""Search for a learning rate: the range test of Smith, 2017, arXiv 1506.01186."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from eanet.config import ResolvedSettings
from eanet.console import progress_bar
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.files import read_numbers, write_csv
from eanet.models import Classifier
from eanet.training.optimizer import set_step
from eanet.training.teacher import Teacher
from eanet.training.updates import Updates

SEARCH = "learning_rate.csv"
LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 200
DIVERGED = 4.0  # times the lowest loss so far, as in fastai
SHARE = 0.5
_WIDTH = 8.0  # steps; standard deviation of the Gaussian that smooths the losses


@dataclass(frozen=True)
class RangeTest:
    """The loss at each learning rate of a rising series, as far as the test got."""

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """Losses averaged over neighbouring steps with Gaussian weights."""
        steps = np.arange(len(self.losses))
        weights = np.exp(-0.5 * ((steps[:, None] - steps) / _WIDTH) ** 2)  # (n, n)
        return np.asarray(weights @ self.losses / weights.sum(1), dtype=np.float64)

    @property
    def lowest(self) -> int:
        """The step at which the smoothed loss is lowest.

        Raises:
            EanetError: the loss fell by no more than its noise.
        """
        smoothed = self.smoothed
        if len(smoothed):  # else it was infinite or NaN at the first step
            step = int(smoothed.argmin())
            until = slice(step + 1)
            if np.ptp(smoothed[until]) > np.std(self.losses[until] - smoothed[until]):
                return step
        raise EanetError(
            f"no learning rate from {LOWEST:g} to {HIGHEST:g} lets the loss fall clearly in "
            f"{STEPS} steps; give one with --learning-rate"
        )

    @property
    def suggestion(self) -> float:
        """Half the rate at which the smoothed loss is lowest, to two digits.

        The best rate is usually within a factor of two of the largest that converges (Bengio, 2012,
        arXiv 1206.5533, section 3.1.1). Another customary rule, the steepest point of the curve, is
        no guide with AdamW, whose loss falls from the smallest rates on.
        """
        return float(f"{self.rates[self.lowest] * SHARE:.2g}")

    @classmethod
    def read(cls, path: Path) -> RangeTest:
        """Read what `write` wrote; raises an `EanetError` if it is something else."""
        rows = read_numbers(path, ("learning_rate", "loss"))
        rates, losses = (
            np.array([row[name] for row in rows]) for name in ("learning_rate", "loss")
        )
        if not (rows and np.isfinite([rates, losses]).all() and (rates > 0).all()):
            raise EanetError(f"{path} has been changed or damaged: it holds no search")
        return cls(rates, losses)

    def write(self, path: Path) -> None:
        """Write one row per step, with the columns ``learning_rate``, ``loss`` and ``smoothed``."""
        rows = zip(self.rates, self.losses, self.smoothed, strict=True)
        text = ([f"{value:.6g}" for value in row] for row in rows)
        write_csv(path, ("learning_rate", "loss", "smoothed"), text)


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
