"""Decode the image files of a split to one array, in parallel and cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from rich.progress import MofNCompleteColumn

from eanet.console import ImagesPerSecond, progress_bar
from eanet.data.cache import Details, cached_images, fingerprint
from eanet.data.decode import Original, UnreadableImageError, read_image
from eanet.data.formats import decoders
from eanet.data.imageset import ImageSet
from eanet.data.layout import Listing
from eanet.data.parallel import in_parallel
from eanet.data.passing import raise_passing
from eanet.data.record import file_key
from eanet.errors import EanetError
from eanet.model_files.preprocessing import Preprocessing


@dataclass(frozen=True)
class Decoded:
    """The images of one split, properties of their originals, and unreadable files with reasons."""

    images: ImageSet
    originals: tuple[Original, ...]
    skipped: tuple[tuple[Path, str], ...]


class _Details(BaseModel):
    """What the cache keeps beside the images."""

    originals: list[Original]
    keys: list[Annotated[int, Field(ge=0, lt=1 << 64)]]
    skipped: list[tuple[int, str]]

    @classmethod
    def parse(cls, files: int, values: Details, images: int) -> Self:
        """Read the details of so many files, of which so many are images.

        Raises:
            ValueError: they are about others.
        """
        details = cls.model_validate(values)
        indices = {index for index, _ in details.skipped}
        counts = (len(details.originals), len(details.keys), len(indices))
        if counts != (images, images, files - images) or not indices <= set(range(files)):
            raise ValueError("other files")
        return details


def decode_split(
    split: str,
    listing: Listing,
    classes: tuple[str, ...],
    size: int,
    preprocessing: Preprocessing,
) -> Decoded:
    """Decode the files of a split to ``size`` x ``size`` pixels, or read them from the cache.

    Raises:
        EanetError: no file can be read, the disk is full, or a drive or network fails.
    """
    files = [file for name in classes for file in listing.images.get(name, [])]
    counts = [len(listing.images.get(name, [])) for name in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), counts)

    def build(append: Callable[[NDArray[np.uint8]], None]) -> Details:
        read = partial(_try_read, size=size, preprocessing=preprocessing)
        originals, keys, skipped = _decode(files, read, f"decoding {listing.place.name}", append)
        if not originals:
            why = f"; {files[0]}: {skipped[0][1]}" if files else ""
            raise EanetError(f"no readable image among the {split} images of {listing.place}{why}")
        return {"originals": originals, "keys": keys, "skipped": skipped}

    place = listing.place.resolve()
    state = fingerprint(files, listing.place, preprocessing, decoders())
    purpose = f"images {split} {preprocessing.fit}"
    parse = partial(_Details.parse, len(files))
    details: _Details
    images, details = cached_images(place, purpose, state, size, build, parse)
    reasons = dict(details.skipped)
    read = np.delete(np.arange(len(files)), list(reasons))
    keys = np.array(details.keys, dtype=np.uint64)
    return Decoded(
        ImageSet(images, labels[read], classes, tuple(files[index] for index in read), keys),
        tuple(details.originals),
        tuple((files[index], reason) for index, reason in reasons.items()),
    )


def _decode(
    files: Sequence[Path],
    read: Callable[[Path], tuple[NDArray[np.uint8], Original, int] | str],
    title: str,
    append: Callable[[NDArray[np.uint8]], None],
) -> tuple[list[Original], list[int], list[tuple[int, str]]]:
    """Decode on all cores, in order; also return keys, and (index, reason) of unreadable files."""
    originals, keys, skipped = [], [], []
    with progress_bar(MofNCompleteColumn(), ImagesPerSecond()) as bar:
        results = in_parallel(read, files)
        for index, result in enumerate(bar.track(results, len(files), description=title)):
            if isinstance(result, str):
                skipped.append((index, result))
            else:
                append(result[0])
                originals.append(result[1])
                keys.append(result[2])
    return originals, keys, skipped


def _try_read(
    file: Path, size: int, preprocessing: Preprocessing
) -> tuple[NDArray[np.uint8], Original, int] | str:
    try:
        return *read_image(file, size, preprocessing), file_key(file)
    except (UnreadableImageError, OSError) as error:
        raise_passing(file, error if isinstance(error, OSError) else error.__cause__)
        return error.reason if isinstance(error, UnreadableImageError) else str(error.strerror)
