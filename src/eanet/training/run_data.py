"""The images of an earlier run: where they are, and as they were split for it."""

from __future__ import annotations

import shlex
from typing import Literal

import numpy as np

from eanet.config import DataSettings
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.record import UNKNOWN, pick
from eanet.data.source import Source, open_source
from eanet.data.splits import Dataset
from eanet.errors import EanetError
from eanet.model_files.preprocessing import Preprocessing
from eanet.training.run_directory import RunDirectory


def open_run_source(run: RunDirectory, remedy: str = "") -> Source:
    """Open the images of a run where they were.

    Args:
        run: the run.
        remedy: what to do if they have moved; unless given, to resume the run with their place.

    Raises:
        EanetError: they are not there.
    """
    try:
        return open_source(run.read_config().resolved.data)
    except EanetError as error:
        remedy = remedy or f"eanet train --resume {shlex.quote(str(run.path))} NEWPLACE"
        raise EanetError(f"{error}; if the images have moved, {remedy}") from error


def load_run_data(
    run: RunDirectory,
    source: Source,
    settings: DataSettings,
    preprocessing: Preprocessing | None = None,
) -> Dataset:
    """Load images as they were split for a run; they may have changed since.

    Raises:
        EanetError: they cannot be loaded.
    """
    classes = run.read_config().data.classes
    return source.load(settings, preprocessing, classes, run.read_start_images())


def load_split(
    run: RunDirectory,
    source: Source,
    preprocessing: Preprocessing,
    split: Literal["train", "test"],
) -> ImageSet:
    """Load the images that a run was trained or tested on, or what is left of them; then say so.

    Args:
        run: the run.
        source: its images.
        preprocessing: of its model, which is not what suits images that have changed.
        split: which of them.

    Raises:
        EanetError: they cannot be loaded, have changed and were not recorded, or none is left.
    """
    config, record = run.read_config(), run.read_own_images()
    try:
        dataset = load_run_data(run, source, config.resolved, preprocessing)
    except EanetError:  # such as a class that is new
        if record is None:
            raise
        sets = source.load_splits(config.resolved, preprocessing).sets
    else:
        if record is None:
            run.check_data(dataset)
        if record is None or run.has_data(dataset):
            return dataset.train if split == "train" else dataset.test
        sets = dataset.sets
    left = pick(sets, {name: record.splits_of(images) for name, images in sets.items()}, split)
    kind = "training" if split == "train" else split
    if not len(left):
        raise EanetError(f"none of the {kind} images of {run.path} is left")
    count = config.data.images.get(split, 0)
    many = "all" if len(left) == count else f"{len(left):,} of"
    notice(f"the images of {run.path} have changed: {many} {count:,} {kind} images are left")
    return left


def check_moved(run: RunDirectory, dataset: Dataset, where: str) -> None:
    """Raise an `EanetError` that counts what is missing, if these are not the images of a run."""
    if run.has_data(dataset):
        return
    config, record = run.read_config(), run.read_images()
    count = sum(config.data.images.values())
    sets = dataset.sets.values()
    given = sum(map(len, sets))
    remedy = f"start a new run, with --init {run.path} to begin with its weights"
    if record is None:
        raise EanetError(f"{where} does not hold the images of {run.path} alone; {remedy}")
    known = sum(int(np.sum(record.splits_of(images) != UNKNOWN)) for images in sets)
    if known == count == given:
        raise EanetError(
            f"{where} holds the {count:,} images of {run.path}, but some are of another class, or "
            f"they are split in another way; {remedy}"
        )
    raise EanetError(
        f"{where} holds {known:,} of the {count:,} images of {run.path} and {given - known:,} "
        f"others, or they are laid out in another way; {remedy}"
    )
