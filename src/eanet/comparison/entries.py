"""The models of a comparison: their runs, and how each model differs from the first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from eanet.comparison.runs import Run
from eanet.comparison.statistics import Difference, difference
from eanet.comparison.training import Failure
from eanet.errors import EanetError
from eanet.training.run_directory import RunDirectory

# Settings specific to one run, or irrelevant to training; data are compared by fingerprint.
NOT_CONDITIONS = {"model", "seed", "output", "name", "data", "data_dir", "tensorboard"}
READING = ("image_size", "fit", "levels")  # settings that the pixels of the same files depend on


@dataclass(frozen=True, eq=False)
class Entry:
    """A model with its runs.

    Attributes:
        name: of the model or, if that is ambiguous, of its first run directory.
        runs: one per seed; empty if all have failed.
        failures: the runs that failed.
        difference: in top-1 from the first entry; None for the first, or if no runs can be paired.
    """

    name: str
    runs: tuple[Run, ...]
    failures: tuple[Failure, ...] = ()
    difference: Difference | None = None

    @property
    def parameters(self) -> int:
        """Number of learned or loaded values."""
        return self.runs[0].predictions.parameters

    @property
    def multiply_adds(self) -> int:
        """Per image, forward pass only."""
        return self.runs[0].predictions.multiply_adds

    @property
    def seconds(self) -> float:
        """Mean time per run."""
        return float(np.mean([run.seconds for run in self.runs]))

    @property
    def images_per_second(self) -> float:
        """Training throughput, as the median over the runs."""
        return float(np.median([run.images_per_second for run in self.runs]))

    @property
    def peak_memory(self) -> int | None:
        """Highest peak of any run in bytes; None if it was not measured."""
        return max((run.peak_memory for run in self.runs if run.peak_memory), default=None)

    def mean(self, figure: str) -> float:
        """Return the mean of ``top1`` or ``top5`` over the seeds, as a fraction."""
        return float(np.mean([getattr(run, figure) for run in self.runs]))

    def deviation(self, figure: str) -> float | None:
        """Return the standard deviation over the seeds; None for a single seed."""
        values = [getattr(run, figure) for run in self.runs]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


def group_by_model(
    models: Sequence[str], runs: Iterable[Run], failures: Sequence[Failure]
) -> list[Entry]:
    """Group runs into one entry per trained model.

    Raises:
        EanetError: all runs of all models have failed, or no image was in the test of all others.
    """
    grouped: dict[str, list[Run]] = {model: [] for model in models}
    for run in _on_shared_images([*runs]):
        grouped[run.model].append(run)
    if not any(grouped.values()):
        raise EanetError(f"every run failed; the first: {failures[0].reason}")
    return _with_differences(
        Entry(model, tuple(own), tuple(f for f in failures if f.model == model))
        for model, own in grouped.items()
    )


def group_by_settings(runs: Sequence[Run]) -> list[Entry]:
    """Group runs by model and recipe: those that differ only in the seed become one entry.

    Raises:
        EanetError: no image was in the test of all runs.
    """
    runs = _on_shared_images(runs)
    grouped: list[list[Run]] = []
    for run in runs:
        for group in grouped:
            is_alike = _group_key(run) == _group_key(group[0])
            if is_alike and run.settings.seed not in (other.settings.seed for other in group):
                group.append(run)
                break
        else:
            grouped.append([run])
    count = Counter(group[0].model for group in grouped)
    paths = shortest_names([run.path for run in runs])
    return _with_differences(
        Entry(group[0].model if count[group[0].model] == 1 else paths[group[0].path], tuple(group))
        for group in grouped
    )


def _on_shared_images(runs: Sequence[Run]) -> list[Run]:
    """Reduce the predictions to the images that all runs were tested on, with the same label."""
    predictions = [run.predictions for run in runs]
    if len({own.test_images for own in predictions}) < 2:
        return [*runs]
    shared = reduce(np.intersect1d, [own.keys for own in predictions])
    if not len(shared):
        raise EanetError(
            f"no image is a test image of all: {', '.join(str(run.path) for run in runs)}; runs "
            "are compared on images that all were tested on, if these are not files, at one size"
        )
    return [replace(run, predictions=run.predictions.on(shared)) for run in runs]


def shortest_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Map each path to the fewest trailing parts that distinguish it from the others."""
    whole = {path: path.resolve().parts for path in paths}
    names = {}
    for path, parts in whole.items():
        others = {tail for other, tail in whole.items() if other != path}
        count = 1
        while count < len(parts) and any(tail[-count:] == parts[-count:] for tail in others):
            count += 1
        names[path] = str(Path(*parts[-count:]))
    return names


def _group_key(run: Run) -> tuple[str, dict[str, Any]]:
    return run.model, _conditions_of(run)


def _conditions_of(run: Run) -> dict[str, Any]:
    """Return everything that runs should have in common to be comparable."""
    environment = run.config.environment
    machine = {key: getattr(environment, key) for key in ("processor", "gpu", "eanet", "torch")}
    settings = run.settings.model_dump(mode="json", exclude=NOT_CONDITIONS)
    # By hash, since another path may hold the same model, and the same path another model.
    models = {name: m and m.sha256[:8] for name, m in run.config.models.items()}
    if run.entrant is not None:  # then its start is the model that is compared
        del models["init"], settings["init"]
    return settings | models | machine | {"images": run.config.data.fingerprint}


def differing_conditions(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return what differs between runs besides model and seed, with their values."""
    values: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        for run in entry.runs:
            for key, value in _conditions_of(run).items():
                if str(value) not in values[key]:
                    values[key].append(str(value))
    differing = {key: several for key, several in values.items() if len(several) > 1}
    if any(key in differing for key in READING) and _have_same_files(entries):
        differing.pop("images", None)  # which are told apart by their pixels
    return differing


def _have_same_files(entries: Sequence[Entry]) -> bool:
    """Return whether all runs are known to have the same images in the same splits."""
    runs = [run for entry in entries for run in entry.runs]
    first, *others = (RunDirectory(run.path).read_own_images() for run in runs)
    return first is not None and all(
        other is not None and np.array_equal(first.entries, other.entries) for other in others
    )


def format_differing(entries: Sequence[Entry]) -> list[str]:
    """Describe what `differing_conditions` returns in words, such as "epochs 10, 20"."""
    return [
        "training images" if key == "images" else f"{key.replace('_', ' ')} {', '.join(values)}"
        for key, values in differing_conditions(entries).items()
    ]


def _with_differences(entries: Iterable[Entry]) -> list[Entry]:
    """Add to each entry its difference from the first."""
    first, *others = entries
    return [first, *(_with_difference(first, entry) for entry in others)]


def _with_difference(first: Entry, entry: Entry) -> Entry:
    if pairs := _pairs(first, entry):
        ours, theirs = (
            np.stack([pair[i].predictions.correct[1] for pair in pairs]) for i in (0, 1)
        )
        # A run that was told of none may be beside one that was.
        kept = (run.predictions.groups for pair in pairs for run in pair)
        groups = next((own for own in kept if own is not None), None)
        return replace(entry, difference=difference(ours, theirs, groups))
    return entry


def _pairs(first: Entry, entry: Entry) -> list[tuple[Run, Run]]:
    """Pair runs of the same seed; runs that were meant to be single, whatever their seeds."""
    failures = first.failures or entry.failures
    if len(first.runs) == len(entry.runs) == 1 and not failures:
        return [(first.runs[0], entry.runs[0])]
    by_seed = {run.settings.seed: run for run in first.runs}
    seeds = [(by_seed.get(run.settings.seed), run) for run in entry.runs]
    return [(one, other) for one, other in seeds if one is not None]
