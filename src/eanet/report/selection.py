"""Select the images that a report is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eanet.config import DataSettings, is_run
from eanet.console import notice
from eanet.data.datasets import named_datasets
from eanet.data.groups import AUTO
from eanet.data.imageset import ImageSet
from eanet.data.record import CODES, UNKNOWN, pick
from eanet.data.source import Source, open_source
from eanet.data.splits import Dataset
from eanet.deploy.export.images import OwnImages
from eanet.deploy.module import RuntimeModule
from eanet.errors import EanetError, unknown_name
from eanet.files import user_path
from eanet.model_files.preprocessing import Preprocessing
from eanet.models import Classifier
from eanet.models.registry import unnamed_classes
from eanet.training.run_data import load_run_data, open_run_source
from eanet.training.run_directory import RunDirectory

Split = Literal["train", "validation", "test"]
ORDER = ("test", "validation", "train")  # of what is evaluated unless a split is asked for


@dataclass(frozen=True)
class Selection:
    """Images to evaluate on.

    Attributes:
        data: the data set's name.
        split: which of its images.
        images: these images.
        train: its training images, unless all of them are to be evaluated.
        validation: its validation images, if it has any.
        of_run: whether the data are those of the run, split as for its training.
    """

    data: str
    split: str
    images: ImageSet
    train: ImageSet | None
    validation: ImageSet | None
    of_run: bool


def select_images(
    data: str | Path | None,
    split: Split | None,
    settings: DataSettings,
    model: Classifier | RuntimeModule,
    run: RunDirectory | None,
) -> Selection:
    """Select images of a data set.

    Images that the run was trained or validated on are known by their content, wherever they are
    now: they are left out unless their split is asked for.

    Args:
        data: a data set's name, a folder, a list or an archive; None: the run's own.
        split: which of its images; by default the test images or, if data other than the run's
            have none, the validation images, or else all.
        settings: how to load them; those for splitting apply only to the run's own data.
        model: the model; the images may be of some of its classes.
        run: the run that the model comes from, if any.

    Raises:
        EanetError: there are no such data or images, or those of the run have changed, so that
            another split could contain images that it was trained on.
    """
    if split not in (None, *ORDER):
        raise unknown_name("split", split, ORDER)
    remedy = "name their place with --data"
    source = open_run_source(run, remedy) if run and data is None else open_source(str(data))
    record = None if run is None else run.read_images()
    preprocessing = model.config.preprocessing
    if run is not None and source.location == run.read_config().resolved.data:
        is_recorded = record is not None
        dataset = _own_data(run, source, settings, preprocessing, is_recorded=is_recorded)
        if dataset is not None:
            return _of_split(source.name, dataset.sets, split, of_run=True)
    names = model.classes
    is_unnamed = names == unnamed_classes(len(names))
    # A folder that has grown may hold new classes, none of which the run was tested on.
    splits = source.load_splits(settings, preprocessing, () if is_unnamed or not data else names)
    for note in splits.notes:
        notice(note)
    if settings.group not in (None, AUTO) and splits.train.groups is None:
        notice(
            f"which of these images belong together is not known (group={settings.group}): "
            "intervals count each by itself"
        )
    given = {name: splits.sets[name] for name in ORDER if name in splits.sets}
    if record is not None and run is not None:
        codes = {name: record.splits_of(images) for name, images in given.items()}
        if data is None or any((code != UNKNOWN).any() for code in codes.values()):
            return _by_record(source.name, given, codes, split, run, with_new=data is not None)
        if (source.path is None) == (run.read_config().resolved.data in named_datasets()):
            notice(f"{run.path} was trained on none of these {_files(source)}")
    if split is None and list(given) == ["train"]:
        return Selection(source.name, "all", splits.train, None, None, of_run=False)
    return _of_split(source.name, given, split, of_run=False)


def model_images(
    where: str | Path,
    model: Classifier,
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> OwnImages | None:
    """Return the images that a model belongs to, for an export.

    Args:
        where: what the model was loaded from.
        model: the model.
        data: a data set's name, a folder, a list or an archive; None: the run's own.
        data_dir: where archives are; None: as for the run.

    Returns:
        None if no data are given and the model is no run's.

    Raises:
        EanetError: there are no such data, or those of the run have changed.
    """
    path = user_path(where)
    run = RunDirectory(path) if is_run(path) else None
    if run is not None:
        run.notice_if_unfinished()
    elif data is None:
        return None
    settings = DataSettings() if run is None else run.read_config().resolved
    loading: dict[str, Any] = {"image_size": model.config.image_size}
    if data_dir is not None:
        loading["data_dir"] = user_path(data_dir)
    found = select_images(data, None, settings.model_copy(update=loading), model, run)
    name = f"{found.split} images of {found.data}".removeprefix("all ")
    train = found.images if found.split == "all" else found.train
    return OwnImages(name, found.images, train, found.validation)


def _files(source: Source) -> str:
    return "images" if source.path is None else "files"


def _own_data(
    run: RunDirectory,
    source: Source,
    settings: DataSettings,
    preprocessing: Preprocessing,
    *,
    is_recorded: bool,
) -> Dataset | None:
    """Return the images of a run as they were split for it; None: they have changed.

    Raises:
        EanetError: they have changed, and the run has not recorded them.
    """
    try:
        dataset = load_run_data(run, source, settings, preprocessing)
    except EanetError:  # such as a class that is new
        if is_recorded:
            return None
        raise
    if not is_recorded:
        run.check_data(dataset, "use --data to name images it has not seen")
    return dataset if run.has_data(dataset) else None


def _of_split(
    data: str, sets: Mapping[str, ImageSet], split: Split | None, *, of_run: bool
) -> Selection:
    available = [name for name in ORDER if name in sets]
    name: str = split or available[0]
    if name not in sets:
        raise EanetError(f"{data} has no {name} images; use --split {' or '.join(available)}")
    return Selection(data, name, sets[name], sets.get("train"), sets.get("validation"), of_run)


def _by_record(
    data: str,
    sets: Mapping[str, ImageSet],
    codes: Mapping[str, NDArray[np.int8]],
    split: Split | None,
    run: RunDirectory,
    *,
    with_new: bool,
) -> Selection:
    """Select images by what the run did with them; new ones by the split that they lie in."""
    wanted = split or "test"
    place: str = split or next(iter(sets))  # where new images are taken from
    if len(sets) == 1:  # which says nothing of them
        place = "train" if wanted == "test" else ""
    if not with_new:
        place = ""
    images = pick(sets, codes, wanted, place)
    counts = {
        name: sum(int((of_set == code).sum()) for of_set in codes.values())
        for name, code in CODES.items()
    }
    total = sum(map(len, sets.values()))
    seen = {name: counts[name] for name in ("train", "validation") if counts[name]}
    told = " and ".join(f"{count:,} in {name}" for name, count in seen.items())
    if not len(images) and not with_new:
        raise EanetError(
            f"none of the {wanted} images of {run.path} is left; name other images with --data"
        )
    if not len(images):
        raise EanetError(
            f"{run.path} has seen all that could be evaluated of the {total:,} images ({told}): "
            f"name images it has not seen, or use --split {' or '.join(seen)}"
        )
    if not with_new:
        count = run.read_config().data.images.get(wanted, 0)
        notice(f"the images have changed: {len(images):,} of {count:,} {wanted} images are left")
    elif seen and wanted == "test":
        notice(f"{run.path} has seen {told} of the {total:,} images: these are left out")
    parts = [
        pick(sets, codes, part, part if len(sets) > 1 else "") for part in ("train", "validation")
    ]
    train, validation = (part if len(part) else None for part in parts)
    of_run = run.read_config().data.images.get(wanted) == len(images) == counts[wanted]
    name = wanted if split or len(images) == counts["test"] or not place else place
    if len(sets) == 1 and name == "train" and not split:
        name = "unseen"
    return Selection(data, name, images, train, validation, of_run)
