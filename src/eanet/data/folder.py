"""A folder of class folders as a data set, decoded in parallel into the cache."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import MofNCompleteColumn, ProgressColumn, Task
from rich.text import Text

from eanet.console import progress_bar
from eanet.data.cache import Details, cached_images, files_key
from eanet.data.decode import UnreadableImageError, decode_image
from eanet.data.imageset import ImageSet
from eanet.data.layout import Listing, is_image, list_images, list_split, split_folders
from eanet.data.splits import DataOptions, SourceSplits
from eanet.errors import EanetError

__all__ = ["decode_image", "list_images", "load_folder"]

DEFAULT_SIZE = 64

_BATCH = 128  # files handed to the threads at a time: bounds the memory, and what Ctrl-C waits for
_NAMED = 5


@dataclass(frozen=True)
class _Decoded:
    """The images of one split, and the files behind what the notes tell."""

    images: ImageSet
    skipped: list[tuple[Path, str]]
    stills: list[Path]


def load_folder(root: Path, options: DataOptions) -> SourceSplits:
    """Load ``<class>/...`` or ``{train,val|valid|validation,test}/<class>/...`` below ``root``.

    The classes are sorted by name. Unreadable images are skipped, and named in a note.

    Raises:
        EanetError: no class folders, only one class, a class without a readable image, split
            folders without ``train``, or a class that ``train`` lacks.
    """
    try:
        folders, ignored = split_folders(root)
        listings = {split: list_split(folder) for split, folder in folders.items()}
    except OSError as error:
        raise EanetError(f"cannot read {error.filename} ({error.strerror})") from error
    classes = tuple(listings["train"].images)
    if len(classes) < 2:
        raise EanetError(
            f"only one class folder ({classes[0]}) in {folders['train']}: a classifier needs two "
            "or more"
        )
    for listing in listings.values():
        if extra := [n for n, files in listing.images.items() if files and n not in classes]:
            raise EanetError(
                f"class {extra[0]!r} is in {listing.folder} but not in {folders['train']}: "
                "the training images must have every class"
            )
    for name, files in listings["train"].images.items():
        if not files:
            raise EanetError(
                f"class folder {folders['train'] / name} has no image: add some, or remove it"
            )
    size = options.image_size or DEFAULT_SIZE
    decoded = {split: _decode(listing, classes, size) for split, listing in listings.items()}
    for name, count in zip(classes, decoded["train"].images.counts(), strict=True):
        if not count:
            raise EanetError(f"class folder {folders['train'] / name} has no readable image")
    images = {split: part.images for split, part in decoded.items()}
    return SourceSplits(
        images["train"],
        images.get("validation"),
        images.get("test"),
        tuple(_notes(root, ignored, list(listings.values()), list(decoded.values()))),
    )


def _decode(listing: Listing, classes: Sequence[str], size: int) -> _Decoded:
    """Decode one split, or find it in the cache."""
    files = [file for name in classes for file in listing.images.get(name, [])]
    labels = np.repeat(
        np.arange(len(classes), dtype=np.int64),
        [len(listing.images.get(name, [])) for name in classes],
    )

    def build(append: Callable[[NDArray[np.uint8]], None]) -> Details:
        skipped = _decode_files(files, size, f"decoding {listing.folder.name}", append)
        if len(skipped) == len(files):
            raise EanetError(f"no readable image in the class folders of {listing.folder}")
        return {"skipped": skipped}

    key = files_key(listing.folder, files, size)
    images, details = cached_images(key, size, build)
    reasons = {int(index): reason for index, reason in details["skipped"]}
    kept = np.delete(np.arange(len(files)), list(reasons))
    return _Decoded(
        ImageSet(images, labels[kept], tuple(classes)),
        skipped=[(files[index], reason) for index, reason in reasons.items()],
        stills=[files[index] for index in kept if files[index].suffix.lower() == ".gif"],
    )


def _decode_files(
    files: Sequence[Path], size: int, title: str, append: Callable[[NDArray[np.uint8]], None]
) -> list[tuple[int, str]]:
    """Decode on all cores, in order; returns (index, reason) of the files that cannot be read."""

    def decode(file: Path) -> NDArray[np.uint8] | str:
        try:
            return decode_image(file, size)
        except UnreadableImageError as error:
            return error.reason

    skipped = []
    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(os.cpu_count()) as threads,
        progress_bar(MofNCompleteColumn(), _RateColumn()) as bar,
    ):
        # Pillow's warnings of odd files say nothing that the notes do not. Set here and not in the
        # threads, since filters belong to the whole process.
        warnings.simplefilter("ignore")
        task = bar.add_task(title, total=len(files))
        for start in range(0, len(files), _BATCH):
            results = threads.map(decode, files[start : start + _BATCH])
            for index, result in enumerate(results, start):
                if isinstance(result, str):
                    skipped.append((index, result))
                else:
                    append(result)
                bar.advance(task)
    return skipped


class _RateColumn(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.0f} images/s")


def _notes(
    root: Path, ignored: list[Path], listings: list[Listing], decoded: list[_Decoded]
) -> Iterator[str]:
    """What people should know, in one line each."""

    def named(files: Sequence[Path], reasons: Sequence[str] = ()) -> str:
        names = [str(file.relative_to(root)) for file in files[:_NAMED]]
        if reasons:
            names = [f"{name} ({why})" for name, why in zip(names, reasons, strict=False)]
        more = len(files) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")

    if ignored:
        yield f"ignored beside the split folders: {named(ignored)}"
    skipped = [pair for part in decoded for pair in part.skipped]
    if skipped:
        files, reasons = zip(*skipped, strict=True)
        yield f"skipped {_count(files, 'unreadable image')}: {named(files, reasons)}"
    if stills := [file for part in decoded for file in part.stills]:
        what = "GIF read as a still" if len(stills) == 1 else "GIFs read as stills"
        yield f"{len(stills)} {what} (first frame): {named(stills)}"
    others = [file for listing in listings for file in listing.others]
    if loose := [file for file in others if is_image(file)]:
        yield f"ignored {_count(loose, 'image')} outside the class folders: {named(loose)}"
    if rest := [file for file in others if not is_image(file)]:
        kinds = sorted({file.suffix.lower() or "no extension" for file in rest})
        yield f"ignored {_count(rest, 'file')} of other kinds ({', '.join(kinds)})"
    for listing, part in zip(listings, decoded, strict=True):
        absent = [
            name
            for name, count in zip(part.images.classes, part.images.counts(), strict=True)
            if not count
        ]
        if absent:
            yield f"no images in {listing.folder.name} of: {', '.join(absent)}"


def _count(files: Sequence[Path], what: str) -> str:
    return f"{len(files)} {what}" + ("s" if len(files) != 1 else "")
