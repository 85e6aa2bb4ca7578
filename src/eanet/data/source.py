"""A source of images: what the user writes for data, interpreted once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from eanet.config import DataSettings
from eanet.data.archive import ARCHIVES, archive_stem, is_archive
from eanet.data.datasets import named_datasets
from eanet.data.folder import holds_class, open_layout
from eanet.data.held_out import complete_splits
from eanet.data.image_files import DEFAULT_SIZE, load_image_files
from eanet.data.layout import LISTS
from eanet.data.list_rows import is_list
from eanet.data.plausibility import with_findings
from eanet.data.record import ImageRecord
from eanet.data.registry import Default, NamedDataset
from eanet.data.splits import Dataset, SourceSplits
from eanet.data.statistics import ImageStatistics, image_statistics
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.files import readable, user_path
from eanet.model_files.preprocessing import Preprocessing


@dataclass(frozen=True)
class Source:
    """A named data set, or images of the user's own.

    Attributes:
        name: of the data set; of a list or archive, its file name without extension.
        path: absolute path of the user's own images; None: a named data set.
        location: what `open_source` takes to open this source again, from any folder.
        natural_size: height and width in pixels at which it is loaded by default.
        defaults: the settings recommended for a named data set; empty for the user's own images.
    """

    name: str
    path: Path | None
    location: str
    natural_size: int
    defaults: tuple[Default, ...]
    _load: Callable[[DataSettings, Preprocessing | None, Sequence[str]], SourceSplits] = field(
        repr=False, compare=False
    )

    def load(
        self,
        settings: DataSettings = DataSettings(),  # noqa: B008
        preprocessing: Preprocessing | None = None,
        classes: Sequence[str] = (),
        start: ImageRecord | None = None,
    ) -> Dataset:
        """Load the images with all splits, at ``settings.image_size``.

        Args:
            settings: how to load and split them.
            preprocessing: of the model that the images are for; None: what suits the images.
            classes: as for `load_splits`.
            start: as for `complete_splits`.

        Raises:
            EanetError: they cannot be loaded, or are too few to split.
        """
        splits = self.load_splits(settings, preprocessing, classes)
        return complete_splits(self.name, splits, settings, start)

    def load_splits(
        self,
        settings: DataSettings = DataSettings(),  # noqa: B008
        preprocessing: Preprocessing | None = None,
        classes: Sequence[str] = (),
    ) -> SourceSplits:
        """Load only the splits that the source itself provides, at ``settings.image_size``.

        Args:
            settings: how to load them.
            preprocessing: of the model that the images are for; None: what suits the images.
            classes: for the user's own images, the classes in this order; the images may be of
                some of them. Unless given, those that are found.

        Raises:
            EanetError: the images cannot be loaded.
        """
        splits = self._load(settings, preprocessing, classes).resized(settings.image_size)
        return with_findings(splits)

    def statistics(self, settings: DataSettings = DataSettings()) -> ImageStatistics:  # noqa: B008
        """Return what is known of the user's own images before they are decoded.

        Raises:
            EanetError: they cannot be read, or have no classes.
        """
        if self.path is None:
            raise ValueError(f"{self.name} has defaults; statistics are of the user's own images")
        reading = (settings.layout, settings.names)
        if reading not in self._statistics:
            with open_layout(self.path, settings) as layout:
                self._statistics[reading] = image_statistics(layout)
        return self._statistics[reading]

    @cached_property
    def _statistics(self) -> dict[tuple[str, Path | None], ImageStatistics]:
        return {}

    def check_outside(self, folder: Path, settings: DataSettings) -> None:
        """Raise before results are written where they would become a class of the images.

        Raises:
            EanetError: ``folder`` is or would be among the class folders.
        """
        if self.path is not None and holds_class(self.path, folder, settings.layout):
            raise EanetError(
                f"results in {folder} would become a class of the images in {self.path}: name a "
                "folder elsewhere with --output, such as --output ~/runs"
            )


def open_source(data: str | Path) -> Source:
    """Interpret what the user writes for data; images are not read yet.

    Args:
        data: the name of a data set (see ``eanet datasets``); or a folder of class folders, a list
            of images (CSV, TSV, JSON lines, Parquet; with the columns ``path``, ``label`` and maybe
            ``split``; or text, with a path and a class in each line), or an archive (zip, tar) of
            either. A name takes precedence over a folder of the same name; write ``./digits`` for
            the folder.

    Raises:
        EanetError: there is no such data set, folder or file.
    """
    text, named = str(data), named_datasets()
    if not text:
        raise WrongArgumentError("the name of the data set is empty")  # as a path: this folder
    if dataset := named.get(text):
        load = partial(_load_named, dataset)
        return Source(text, None, text, dataset.image_size, dataset.defaults, load)
    path = user_path(text)
    if path.is_dir():
        path = path.resolve()
        name = path.name
    elif is_list(path) or is_archive(path):
        path = path.parent.resolve() / path.name  # a link to a file: its name says how to read it
        name = archive_stem(path) if is_archive(path) else path.stem
    elif path.suffix.lower() == ".txt" and path.is_file():
        raise EanetError(
            f"{text} is no list: as text, that is an image and its class in each line, such as "
            "cats/1.jpg cat"
        )
    elif path.exists():
        raise EanetError(
            f"{text} is neither a folder, a list ({' '.join(LISTS)}), an archive "
            f"({' '.join(ARCHIVES)}) nor one of {', '.join(named)}"
        )
    elif os.sep in text or (os.altsep and os.altsep in text):
        raise EanetError(f"no such file or folder: {text}")
    else:
        unknown = unknown_name("data set", text, named)
        raise WrongArgumentError(f"no such file or folder, and {unknown}")
    own = partial(_load_own_images, path)
    return Source(readable(name) or "data", path, str(path), DEFAULT_SIZE, (), own)


def _load_named(
    dataset: NamedDataset,
    settings: DataSettings,
    preprocessing: Preprocessing | None,
    classes: Sequence[str],
) -> SourceSplits:
    del preprocessing, classes  # they are square and of 8 bits, and have their own classes
    return dataset.load(settings)


def _load_own_images(
    path: Path,
    settings: DataSettings,
    preprocessing: Preprocessing | None,
    classes: Sequence[str],
) -> SourceSplits:
    with open_layout(path, settings, classes) as layout:
        return load_image_files(layout, settings, preprocessing, classes)
