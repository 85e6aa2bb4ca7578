"""What a comparison needs to know about each run, read from its directory."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from eanet.config import ResolvedSettings
from eanet.console import how_to_resume, notice
from eanet.data.imageset import ImageSet
from eanet.data.record import image_keys
from eanet.device import device_or_other
from eanet.errors import EanetError
from eanet.files import read_text, write_json
from eanet.metrics.evaluation import Evaluation, evaluate_model, of_known_classes
from eanet.model_files.find import model_digest
from eanet.models import load_model
from eanet.models.operations import multiply_adds
from eanet.parsing import checked, parse_json
from eanet.training.run_config import RunConfig
from eanet.training.run_data import load_split, open_run_source
from eanet.training.run_directory import RunDirectory

PREDICTIONS = "answers.json"
TOP = (1, 5)


class _Record(BaseModel):
    """The contents of the file."""

    model: str = ""  # this and keys are what earlier versions did not write
    keys: str = ""
    test_images: str
    parameters: int
    multiply_adds: int
    images: int = Field(ge=1)
    top1: str
    top5: str
    groups: list[int] | None = None


class _Peak(BaseModel):
    bytes: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """Cost of a run's model, and which of the test images it classifies correctly.

    Attributes:
        test_images: their fingerprint.
        keys: by which each of them is known again together with its label, (n,).
        parameters: number of parameters of the model.
        multiply_adds: per image, forward pass only; see `multiply_adds`.
        correct: by k, whether the class of each image is among the k most probable ones, (n,).
        groups: which of the images belong together, (n,); None: each is by itself.
        left_out: number of further test images, which other runs were not tested on.
    """

    test_images: str
    keys: NDArray[np.uint64]
    parameters: int
    multiply_adds: int
    correct: Mapping[int, NDArray[np.bool_]]
    groups: NDArray[np.int64] | None = None
    left_out: int = 0

    @classmethod
    def of(cls, run: Path, images: ImageSet, evaluation: Evaluation) -> Predictions:
        """Collect the predictions of a run from the evaluation of its model on its test images."""
        model = load_model(run)
        correct = {k: evaluation.in_top(k) for k in TOP}
        cost = model.num_parameters, multiply_adds(model.eval())
        return cls(images.fingerprint(), _keys(images), *cost, correct, evaluation.groups)

    def on(self, keys: NDArray[np.uint64]) -> Predictions:
        """Return the predictions on some of the images, in the order of these keys."""
        _, rows, _ = np.intersect1d(self.keys, keys, return_indices=True)
        return replace(
            self,
            keys=self.keys[rows],
            correct={k: correct[rows] for k, correct in self.correct.items()},
            groups=None if self.groups is None else self.groups[rows],
            left_out=len(self.keys) - len(rows),
        )

    @classmethod
    def read(cls, run: Path) -> Predictions | None:
        """Read the predictions from a run directory; None if it has none of today's model."""
        if not (run / PREDICTIONS).is_file():
            return None
        path = run / PREDICTIONS
        record = checked(_Record, parse_json(read_text(path), str(path)), str(path))
        try:
            correct = {k: _unpack(getattr(record, f"top{k}"), record.images) for k in TOP}
            groups = None if record.groups is None else np.array(record.groups, dtype=np.int64)
            if groups is not None and len(groups) != record.images:
                raise ValueError(f"not {record.images:,} groups")
            keys = np.frombuffer(base64.b64decode(record.keys), dtype="<u8").astype(np.uint64)
            if len(keys) not in (0, record.images):
                raise ValueError(f"not {record.images:,} keys")
        except ValueError as error:
            raise EanetError(f"{path} has been changed or damaged: {error}") from error
        if record.model != model_digest(run) or not len(keys):
            return None
        cost = record.parameters, record.multiply_adds
        return cls(record.test_images, keys, *cost, correct, groups)

    def write(self, run: Path) -> None:
        """Write the predictions to the run directory."""
        content = {
            "model": model_digest(run),
            "test_images": self.test_images,
            "keys": base64.b64encode(self.keys.astype("<u8").tobytes()).decode("ascii"),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "images": len(self.correct[1]),
            **{f"top{k}": _pack(correct) for k, correct in self.correct.items()},
            **({} if self.groups is None else {"groups": self.groups.tolist()}),
        }
        write_json(run / PREDICTIONS, content)


def _keys(images: ImageSet) -> NDArray[np.uint64]:
    """Return keys of images with their labels, (n,)."""
    names = (name.encode() for name in images.classes)
    of_class = b"".join(hashlib.blake2b(name, digest_size=8).digest() for name in names)
    return image_keys(images) ^ np.frombuffer(of_class, "<u8").astype(np.uint64)[images.labels]


def _pack(correct: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def _unpack(text: str, count: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"not {count:,} answers")
    return np.unpackbits(packed, count=count).astype(bool)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes:
        path: its directory.
        config: the contents of its ``config.yaml``.
        history: one row per epoch.
        predictions: on the test images.
        peak_memory: of the training process, in bytes; None if it was not measured.
        entrant: what it was compared as; None: its architecture.
    """

    path: Path
    config: RunConfig
    history: Sequence[Mapping[str, float]]
    predictions: Predictions
    peak_memory: int | None
    entrant: str | None = None

    @classmethod
    def read(cls, path: Path, entrant: str | None = None) -> Run:
        """Read a finished run; evaluate its model if the directory has no predictions.

        Raises:
            EanetError: there is no run, it is not finished, or none of its test images is left.
        """
        run = RunDirectory.open(path)
        if not (run.is_finished() and (path / "metrics.json").is_file()):
            raise EanetError(f"{path} is not finished; resume with: {how_to_resume(path)}")
        config, history = run.read_config(), run.read_history("seconds", "images_per_second")
        predictions = Predictions.read(path) or _evaluate(run)
        return cls(path, config, history, predictions, read_peak_memory(path), entrant)

    @property
    def settings(self) -> ResolvedSettings:
        """Settings of the run, with every choice made."""
        return self.config.resolved

    @property
    def model(self) -> str:
        """What it is compared as: the architecture with its settings, or a trained model."""
        return self.entrant or self.settings.model

    @property
    def top1(self) -> float:
        """Accuracy on the test images."""
        return float(self.predictions.correct[1].mean())

    @property
    def top5(self) -> float:
        """Fraction of the test images whose class is among the five most probable ones."""
        return float(self.predictions.correct[5].mean())

    @cached_property
    def seconds(self) -> float:
        """Time of training and validation, in seconds."""
        return sum(row["seconds"] for row in self.history)

    @cached_property
    def images_per_second(self) -> float:
        """Training throughput in the median epoch; the first may include compiling."""
        return float(np.median([row["images_per_second"] for row in self.history]))


def _evaluate(run: RunDirectory) -> Predictions:
    model, source = load_model(run.path), open_run_source(run)
    left = load_split(run, source, model.config.preprocessing, "test")
    images = of_known_classes(model.classes, left)
    if not len(images):
        raise EanetError(f"{run.path} knows the class of none of its test images by now")
    if count := len(left) - len(images):
        notice(f"{count:,} of them are of classes by now that {run.path} does not know: left out")
    device = device_or_other(run.read_config().settings.device)
    return Predictions.of(run.path, images, evaluate_model(model, images, device=device))


PEAK_MEMORY = "peak_memory.json"


def read_peak_memory(run: Path) -> int | None:
    """Return the highest peak in bytes of all processes that trained a run; None if unknown."""
    path = run / PEAK_MEMORY
    if not path.is_file():
        return None
    return checked(_Peak, parse_json(read_text(path), str(path)), str(path)).bytes


def write_peak_memory(run: Path, peak: int) -> None:
    """Record the peak of one more process that trained a run."""
    write_json(run / PEAK_MEMORY, {"bytes": max(peak, read_peak_memory(run) or 0)})
