"""What a report tells, before it is written in one form or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eanet.data.imageset import ImageSet
from eanet.evaluation.calibration import Reliability
from eanet.evaluation.evaluate import Evaluation
from eanet.training.lr_search import SEARCH, RangeTest
from eanet.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Training:
    """What a run directory tells of its training.

    Attributes:
        config: as in ``config.yaml``.
        history: one row an epoch.
        search: for the learning rate, where there was one.
    """

    config: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    search: RangeTest | None = None

    @classmethod
    def of(cls, run: RunDirectory) -> Training:
        """Read it."""
        search = run.path / SEARCH
        found = RangeTest.read(search) if search.is_file() else None
        return cls(run.read_config(), run.read_history(), found)

    @property
    def environment(self) -> Mapping[str, Any]:
        """Machine, versions and date, as far as they were written down."""
        found: Mapping[str, Any] = self.config.get("environment", {})
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the run, with every choice made."""
        return {**self.config["settings"], **self.config["resolved"]}

    @property
    def best_epoch(self) -> int | None:
        """Whose weights were kept: the highest validation accuracy, then the lowest loss."""
        rows = [row for row in self.history if "val_accuracy" in row]
        if not rows:
            return None
        return int(max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))["epoch"])


@dataclass(frozen=True)
class Contents:
    """Everything that a report tells.

    Attributes:
        model: the name of the architecture.
        data: the name of the data set.
        split: which of its images.
        images: these.
        evaluation: of the model as it is now.
        metrics: of the evaluation, and of the calibration where there was one.
        training: where the model comes from a run.
        before: of the model before it was calibrated, where it was.
        can_calibrate: whether there are other images to fit a temperature on.
    """

    model: str
    data: str
    split: str
    images: ImageSet
    evaluation: Evaluation
    metrics: Mapping[str, float | int]
    training: Training | None = None
    before: Evaluation | None = None
    can_calibrate: bool = False

    @property
    def reliability_before(self) -> Reliability | None:
        """Before the model was calibrated, where it was."""
        return None if self.before is None else self.before.reliability
