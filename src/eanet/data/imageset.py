"""An image set: square 8-bit RGB images, their labels and the class names."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from eanet.data.evenly import evenly
from eanet.errors import EanetError
from eanet.pages.images import SheetImage
from eanet.pages.notebook import MOST_IMAGES, show

CHUNK_BYTES = 1 << 24
IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled images, in memory or memory-mapped.

    Attributes:
        images: square RGB images, (n, H, H, 3).
        labels: indices into ``classes``, (n,).
        classes: the class names, all different.
        files: the n files that the images were read from; None if they are not from files.
        contents: a key of each file's content, (n,), by which a moved image is known again.
        groups: which images belong together, (n,), such as those of a patient; None if nothing
            says so.

    Raises:
        EanetError: a type, a shape or a label does not fit.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    files: tuple[Path, ...] | None = None
    contents: NDArray[np.uint64] | None = None
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shape = self.images.shape
        square = len(shape) == 4 and shape[1] == shape[2] > 0 and shape[3] == 3
        if self.images.dtype != np.uint8 or not square:
            raise EanetError(
                f"images must be uint8 (n, size, size, 3), not {self.images.dtype} {shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != shape[:1]:
            raise EanetError(
                f"labels must be int64 ({shape[0]},), one for each image, "
                f"not {self.labels.dtype} {self.labels.shape}"
            )
        if self.files is not None and len(self.files) != len(self):
            raise EanetError(f"{len(self.files)} files do not fit {len(self)} images")
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise EanetError(f"class names must be given and differ: {list(self.classes)}")
        if len(self) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise EanetError(
                f"labels must lie in 0..{len(self.classes) - 1}, "
                f"not {self.labels.min()}..{self.labels.max()}"
            )

    def __repr__(self) -> str:
        return f"ImageSet({self.summary})"

    def _repr_html_(self) -> str:
        return show(f"ImageSet: {self.summary}", sheets={"some of them": self.sheet()})

    @property
    def summary(self) -> str:
        """How many there are, how large, and of how many classes."""
        size, count = self.image_size, len(self.classes)
        return f"{len(self):,} images of {size} x {size} pixels in {count:,} classes"

    def sheet(self, most: int = MOST_IMAGES) -> list[SheetImage]:
        """Return some images with their classes, as evenly as possible of all classes."""
        order = np.argsort(self.labels, kind="stable")
        images = []
        for row in evenly(order.tolist(), most):
            name = f"image {row}" if self.files is None else self.files[row].name
            true = self.classes[int(self.labels[row])]
            images.append(
                SheetImage.of(
                    np.asarray(self.images[row]),
                    name=name,
                    kind="other",
                    answer=true,
                    description=f"{name}: {true}",
                )
            )
        return images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Return an image, (3, H, H), and its label, as a `torch.utils.data.DataLoader` asks."""
        return np.ascontiguousarray(self.images[index].transpose(2, 0, 1)), int(self.labels[index])

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.images.shape[1])

    def counts(self) -> NDArray[np.int64]:
        """Return the number of images per class, (K,)."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    def subset(self, indices: ArrayLike) -> ImageSet:
        """Return the images at ``indices``, in that order.

        A large subset of a memory-mapped set is copied to an unnamed file beside it, not to memory.
        """
        rows = np.asarray(indices, dtype=np.int64)
        large = rows.size * self.images[:1].nbytes > IN_MEMORY_BYTES
        if large and isinstance(self.images, np.memmap) and self.images.filename:
            images = _gather_on_disk(self.images, rows)
        else:
            images = np.asarray(self.images[rows])
        files = None if self.files is None else tuple(self.files[index] for index in rows)
        contents = None if self.contents is None else self.contents[rows]
        groups = None if self.groups is None else self.groups[rows]
        return replace(
            self,
            images=images,
            labels=self.labels[rows],
            files=files,
            contents=contents,
            groups=groups,
        )

    def joined(self, other: ImageSet) -> ImageSet:
        """Return these images and then those of another set, of the same classes and size."""
        files, contents, groups = None, None, None
        if self.files is not None and other.files is not None:
            files = (*self.files, *other.files)
        if self.contents is not None and other.contents is not None:
            contents = np.concatenate([self.contents, other.contents])
        if self.groups is not None and other.groups is not None:
            groups = np.concatenate([self.groups, other.groups])
        images = np.concatenate([self.images, other.images])
        labels = np.concatenate([self.labels, other.labels])
        return ImageSet(images, labels, self.classes, files, contents, groups)

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the mean and standard deviation of each channel, in grey levels 0..255.

        Sums are integers, so the result depends on neither order nor chunk size.
        """
        if not len(self):
            raise EanetError("an empty image set has no mean")
        total, squares = np.zeros((2, 3), dtype=np.uint64)
        for chunk in self.chunks():
            flat = chunk.reshape(len(chunk), -1)  # (m, H * W * 3): adds whole rows at a time
            total += _per_channel(flat)
            squares += _per_channel(np.square(flat, dtype=np.uint16))
        count = self.images.size // 3
        sums = [(int(s), int(q)) for s, q in zip(total, squares, strict=True)]
        mean = tuple(s / count for s, _ in sums)
        std = tuple(((count * q - s * s) / count**2) ** 0.5 for s, q in sums)
        return mean, std

    def fingerprint(self) -> str:
        """Return the SHA-256 (hexadecimal) of shape, class names, labels and pixels."""
        digest = hashlib.sha256(json.dumps([self.images.shape, self.classes]).encode())
        digest.update(self.labels.astype("<i8").tobytes())
        for chunk in self.chunks():
            digest.update(np.ascontiguousarray(chunk).data)
        return digest.hexdigest()

    def digests(self) -> Iterator[bytes]:
        """Yield the SHA-256 of the pixels of each image."""
        for image in self.images:
            yield hashlib.sha256(np.ascontiguousarray(image).data).digest()

    def resized(self, size: int) -> ImageSet:
        """Resize to ``size`` x ``size`` pixels: bilinear, antialiased when shrinking."""
        if size == self.image_size:
            return self
        images = np.empty((len(self), size, size, 3), dtype=np.uint8)
        for target, image in zip(images, self.images, strict=True):
            small = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
            target[:] = np.asarray(small)
        return replace(self, images=images)

    def chunks(self) -> Iterator[NDArray[np.uint8]]:
        """Yield chunks of about CHUNK_BYTES, so that a memory map is never loaded completely."""
        step = max(1, CHUNK_BYTES // self.images[:1].nbytes) if len(self) else 1
        for start in range(0, len(self), step):
            yield self.images[start : start + step]


def _per_channel(flat: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Sum each channel of (m, H * W * 3) to (3,)."""
    columns: NDArray[np.uint64] = flat.sum(axis=0, dtype=np.uint64)
    return np.asarray(columns.reshape(-1, 3).sum(axis=0), dtype=np.uint64)


def _gather_on_disk(
    images: np.memmap[tuple[int, ...], np.dtype[np.uint8]],
    indices: Sequence[int] | NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Copy rows of a memory map to an unnamed file, which is deleted after its last use."""
    folder = Path(str(images.filename)).parent
    step = max(1, CHUNK_BYTES // images[:1].nbytes)
    try:
        # A full disk is an error here; with a writable memory map it would be a crash.
        with tempfile.TemporaryFile(dir=folder) as file:
            for start in range(0, len(indices), step):
                file.write(images[indices[start : start + step]].data)
            file.flush()
            return np.memmap(file, np.uint8, "r", shape=(len(indices), *images.shape[1:]))
    except OSError as error:
        raise EanetError(
            f"cannot write a split of the images in {folder} ({error.strerror}): free some space, "
            "or set EANET_CACHE_DIR to another folder"
        ) from error
