"""What a report says, independent of its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.metrics.calibration import Reliability
from eanet.metrics.evaluation import Evaluation
from eanet.metrics.folds import FoldAccuracy
from eanet.metrics.intervals import note_of_few
from eanet.metrics.label_suspects import LabelSuspect
from eanet.models.unknown import DetectorFit
from eanet.pages.notebook import show
from eanet.plots.samples import least_certain, most_wrong
from eanet.report.confusion import matrix_context
from eanet.report.figures import accuracy_figures, in_words
from eanet.report.images import sheet_images
from eanet.report.predictions import prediction_columns
from eanet.report.unknown import OtherPictures
from eanet.tables import as_table
from eanet.training.range_test import SEARCH, RangeTest
from eanet.training.run_config import RunConfig
from eanet.training.run_directory import RunDirectory

MOST_CLASSES = 25  # of which a notebook shows the confusion matrix
DRAWN = ("train_loss", "train_accuracy")  # columns of every history


@dataclass(frozen=True)
class Training:
    """What a run directory says about its training.

    Attributes:
        config: the contents of ``config.yaml``.
        history: one row per epoch.
        search: for the learning rate, if there was one.
    """

    config: RunConfig
    history: Sequence[Mapping[str, float]]
    search: RangeTest | None = None

    @classmethod
    def of(cls, run: RunDirectory) -> Training:
        """Read from a run directory."""
        search = run.path / SEARCH
        range_test = RangeTest.read(search) if search.is_file() else None
        return cls(run.read_config(), run.read_history(*DRAWN), range_test)

    @property
    def best_epoch(self) -> int | None:
        """Epoch whose weights were kept: highest validation accuracy, then lowest loss."""
        return best_epoch(self.history)


def best_epoch(history: Sequence[Mapping[str, float]]) -> int | None:
    """Return the epoch of highest validation accuracy, then lowest loss; None: no validation."""
    rows = [row for row in history if {"val_accuracy", "val_loss"} <= row.keys()]
    if not rows:
        return None
    return int(max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))["epoch"])


@dataclass(frozen=True, eq=False)
class Folds:
    """What a report on cross-validation says in addition.

    Attributes:
        numbers: the fold of each image, (n,); each was answered by the run that had not seen it.
        accuracies: of each fold.
        suspects: images whose label is suspected, the most probable first.
    """

    numbers: NDArray[np.int64]
    accuracies: Sequence[FoldAccuracy]
    suspects: tuple[LabelSuspect, ...]


@dataclass(frozen=True, repr=False)
class Report:
    """What a report says, independent of its format, and the files that say it.

    Attributes:
        model: name of the architecture.
        data: name of the data set.
        split: which of its images were evaluated.
        metrics: of the evaluation, and of the calibration if there was one.
        images: the images that were evaluated.
        evaluation: of the model in its current state.
        training: None unless the model comes from a run.
        before: evaluation before calibration; None if the model was not calibrated.
        can_calibrate: whether there are other images to fit a temperature on.
        detector: how the model's detector of unknown images was fitted; None if it has none.
        no_detector: why none can be fitted to these data; None if one can.
        others: pictures of things that the model does not know, if some were given.
        folds: if the images were answered by the runs of a cross-validation.
        findings: what could make these figures look better or worse than they are.
        files: what was written.
    """

    model: str
    data: str
    split: str
    metrics: Mapping[str, float | int]
    images: ImageSet
    evaluation: Evaluation
    training: Training | None = None
    before: Evaluation | None = None
    can_calibrate: bool = False
    detector: DetectorFit | None = None
    no_detector: str | None = None
    others: OtherPictures | None = None
    folds: Folds | None = None
    findings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def predictions(self) -> Any:
        """One row per image, as a DataFrame, or without pandas as a dictionary of columns.

        The columns are ``image`` (its file, or its number), ``true``, ``predicted``,
        ``probability`` and, if there are any, ``distance`` and ``fold``.
        """
        folds = None if self.folds is None else self.folds.numbers
        return as_table(prediction_columns(self.evaluation, self.images, folds))

    def __repr__(self) -> str:
        return f"Report({self._subject}: {in_words(self.metrics)})"

    def _repr_html_(self) -> str:
        evaluation, m = self.evaluation, self.metrics
        wrong = most_wrong(evaluation.labels, evaluation.probabilities)
        rows = wrong if len(wrong) else least_certain(evaluation.probabilities)
        few = note_of_few(m)
        pages = [f"everything in {file}" for file in self.files if file.suffix == ".html"]
        return show(
            self._subject,
            figures=accuracy_figures(m),
            matrix=matrix_context(evaluation) if len(evaluation.classes) <= MOST_CLASSES else None,
            sheets={
                "most wrong" if len(wrong) else "least certain": sheet_images(
                    rows, evaluation, self.images
                )
            },
            notes=[*([few] if few else []), *pages],
        )

    @property
    def _subject(self) -> str:
        split = "" if self.split == "all" else f", {self.split} images"
        return f"{self.model} on {self.data}{split}"

    @property
    def reliability_before(self) -> Reliability | None:
        """Reliability before calibration; None if the model was not calibrated."""
        return None if self.before is None else self.before.reliability
