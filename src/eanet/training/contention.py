"""Whether other programs compete with a training for its CPUs, and what that costs."""

from __future__ import annotations

import time
from pathlib import Path

from eanet.console import how_to_resume, notice
from eanet.notebooks import in_notebook
from eanet.threads import OtherLoad, available_cpus, shared_cpus, threads_beside

WINDOW_SECONDS = 15.0


class ContentionMonitor:
    """Says once if a training would now be faster with another number of threads.

    The number itself stays: with it, results are reproducible bit for bit.

    Args:
        threads: of the training.
        automatic: whether they were chosen by what was free, so that more may be suggested.
        run: the run directory, to name in the advice.
    """

    def __init__(self, threads: int, *, automatic: bool, run: Path) -> None:
        self.threads, self.automatic, self.run = threads, automatic, run
        self.cpus, self._shared = available_cpus(), shared_cpus()
        self._load = OtherLoad()
        self._images, self._seconds, self._last = 0, 0.0, time.monotonic()
        self._fastest = 0.0
        self._suggested = threads  # by the window before
        self._said = False

    def start_epoch(self) -> None:
        """Begin to count time again, which validation does not."""
        self._last = time.monotonic()

    def step(self, images: int) -> None:
        """Count the images of a step; every now and then, look at what else the machine does."""
        now = time.monotonic()
        self._images += images
        self._seconds += now - self._last
        self._last = now
        if self._said or self._seconds < WINDOW_SECONDS:
            return
        rate, load = self._images / self._seconds, self._load.measure()
        self._images, self._seconds = 0, 0.0
        self._fastest = max(self._fastest, rate)
        better = threads_beside(load, self.cpus, self._shared)
        if better == self._suggested != self.threads:  # in two windows, not for a moment
            self._advise(better, load, rate)
        self._suggested = better

    def _advise(self, better: int, load: float, rate: float) -> None:
        if better > self.threads and not self.automatic:
            return
        if better < self.threads:
            what = f"other programs keep {load:.1f} CPUs busy"
            slower = f"{rate:,.0f} images/s"
            slower += f" instead of {self._fastest:,.0f}" if self._fastest > 1.1 * rate else ""
            what += f", which slows this training down ({slower})"
        else:
            what = f"{better} CPUs are free now, and this training uses {self.threads}"
        stop = "interrupt it" if in_notebook() else "Ctrl-C"
        notice(f"{what}; to go on with {better}: {stop}, then {how_to_resume(self.run, better)}")
        self._said = True
