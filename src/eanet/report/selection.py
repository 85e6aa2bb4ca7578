"""Select the images that a report is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eanet.config import DataSettings
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.data.source import open_source
from eanet.data.splits import Dataset, SourceSplits
from eanet.errors import EanetError, unknown_name
from eanet.models.preprocessing import Preprocessing
from eanet.training.run_directory import RunDirectory

Split = Literal["train", "validation", "test"]


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
    data: str | Path,
    split: Split | None,
    settings: DataSettings,
    preprocessing: Preprocessing,
    run: RunDirectory | None,
) -> Selection:
    """Select images of a data set.

    Args:
        data: a data set's name, a folder, a list or an archive.
        split: which of its images; by default the test images or, if data other than the run's
            have none, the validation images, or else all.
        settings: how to load them; those for splitting apply only to the run's own data.
        preprocessing: of the model.
        run: the run that the model comes from, if any.

    Raises:
        EanetError: there are no such data or images, or those of the run have changed, so that
            another split could contain images that it was trained on.
    """
    source = open_source(data)
    splits: Dataset | SourceSplits
    of_run = run is not None and source.location == run.read_config().resolved.data
    if run is not None and of_run:
        splits = source.load(settings, preprocessing)
        run.check_data(splits, "use --data to name images it has not seen")
    else:
        splits = source.load_splits(settings, preprocessing)
        for note in splits.notes:
            notice(note)
    sets = {"test": splits.test, "validation": splits.validation, "train": splits.train}
    available = [key for key, images in sets.items() if images is not None]
    if split is None and available == ["train"]:
        return Selection(source.name, "all", splits.train, None, None, of_run=False)
    split_name = split or available[0]
    if split_name not in sets:
        raise unknown_name("split", split_name, sets)
    if (images := sets[split_name]) is None:
        raise EanetError(
            f"{source.name} has no {split_name} images; use --split {' or '.join(available)}"
        )
    return Selection(source.name, split_name, images, splits.train, splits.validation, of_run)
