"""Which images a run was trained, validated and tested on, by the content of their files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.files import replacing

UNKNOWN = -1
CODES = {"train": 0, "validation": 1, "test": 2}
_SPLIT_BITS = np.uint64(3)  # of an entry: the last two bits; the others are the image's


def file_key(file: Path) -> int:
    """Return the first 8 bytes of the SHA-256 of a file's content."""
    with file.open("rb") as content:
        return int.from_bytes(hashlib.file_digest(content, "sha256").digest()[:8], "little")


def image_keys(images: ImageSet) -> NDArray[np.uint64]:
    """Return a key of each image, (n,): of its file or, if it is from none, of its pixels."""
    if images.contents is not None:
        return images.contents
    digests = b"".join(digest[:8] for digest in images.digests())
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def is_seen(codes: NDArray[np.int8], split: str) -> NDArray[np.bool_]:
    """Return which images were in a split nearer to training than this one, by their codes."""
    return np.asarray((codes != UNKNOWN) & (codes < CODES[split]))


def pick(
    sets: Mapping[str, ImageSet], codes: Mapping[str, NDArray[np.int8]], split: str, place: str = ""
) -> ImageSet:
    """Return the images that were in a split, each from one set, and the new ones in ``place``.

    Args:
        sets: images by where they lie now.
        codes: the splits that those of each set were in; see `ImageRecord.splits_of`.
        split: which to return.
        place: a set, of which the images that were in no split are returned as well.
    """
    picked: ImageSet | None = None
    for name in sorted(sets, key=lambda name: name != place):
        images = sets[name]
        is_picked = codes[name] == CODES[split]
        if name == place:
            is_picked |= codes[name] == UNKNOWN
        if picked is not None:
            is_picked &= ~np.isin(image_keys(images), image_keys(picked))
        part = images.subset(np.flatnonzero(is_picked))
        if picked is None or not len(picked):
            picked = part
        elif len(part):
            picked = picked.joined(part)
    assert picked is not None  # there is a set
    return picked


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """Images and the splits that they were in: 8 bytes each, whatever they are called.

    Attributes:
        entries: sorted, (n,): 62 bits of an image's key, and 2 of its split as in ``CODES``.
    """

    entries: NDArray[np.uint64]

    @classmethod
    def of(cls, sets: Mapping[str, ImageSet]) -> Self:
        """Record image sets by split."""
        parts = [
            (image_keys(images) & ~_SPLIT_BITS) | np.uint64(CODES[split])
            for split, images in sets.items()
        ]
        return cls(np.unique(np.concatenate(parts)))

    def splits_of(self, images: ImageSet) -> NDArray[np.int8]:
        """Return the code of each image's split, (n,); -1: not recorded.

        Of an image that was in several splits, it is the one nearest to training.
        """
        keys = image_keys(images) & ~_SPLIT_BITS
        place = np.searchsorted(self.entries, keys)  # the lowest code comes first
        found = self.entries[np.minimum(place, len(self.entries) - 1)]
        is_known = (found & ~_SPLIT_BITS) == keys  # never where the last entry is below a key
        return np.where(is_known, (found & _SPLIT_BITS).astype(np.int8), UNKNOWN).astype(np.int8)

    def holds(self, images: ImageSet, split: str) -> bool:
        """Return whether all of these images are recorded, as ones of a split."""
        return bool(np.isin(ImageRecord.of({split: images}).entries, self.entries).all())

    def write(self, path: Path) -> None:
        """Replace a file.

        Raises:
            EanetError: it cannot be written.
        """
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, self.entries.astype("<u8"), allow_pickle=False)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a file that `write` wrote; None if there is none.

        Raises:
            EanetError: it holds something else.
        """
        if not path.is_file():
            return None
        try:
            # Mapped, so that a file which claims to be larger than it is takes no memory.
            entries = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise EanetError(f"{path} is damaged ({error}); remove it to do without") from error
        if entries.dtype != np.dtype("<u8") or entries.ndim != 1 or not len(entries):
            raise EanetError(f"{path} holds no record of images; remove it to do without")
        return cls(np.unique(entries))


def joined(*records: ImageRecord | None) -> ImageRecord | None:
    """Return what any of the records holds; None if there are none."""
    entries = [record.entries for record in records if record is not None]
    return ImageRecord(np.unique(np.concatenate(entries))) if entries else None
