"""What a search for a learning rate saw: the loss at each rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eanet.errors import EanetError
from eanet.files import read_numbers, write_csv

SEARCH = "learning_rate.csv"
LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 200
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
