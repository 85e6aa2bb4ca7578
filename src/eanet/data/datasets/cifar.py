"""CIFAR-10 and CIFAR-100 from their official archives (Krizhevsky, 2009).

Their members are pickles, and what opens a pickle runs what it says. Only the official ones are
therefore opened, which their SHA-256 tells.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eanet.config import DataSettings
from eanet.data.imageset import ImageSet
from eanet.data.published import find_published
from eanet.data.registry import Default, Loader, register_dataset
from eanet.data.splits import SourceSplits
from eanet.data.tar import DAMAGED, open_tar
from eanet.errors import EanetError

MOST_BYTES = 1 << 28  # of an archive's content; the official ones hold 180 MB


@dataclass(frozen=True, kw_only=True)
class _Archive:
    """Names, keys and SHA-256 sums of one of the two archives.

    Attributes:
        member_sha256: of the file of class names, those of training images and that of test images.
    """

    url: str
    sha256: str
    folder: str
    labels_key: bytes
    names_key: bytes
    member_sha256: dict[str, str]


_CIFAR10 = _Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    folder="cifar-10-batches-py",
    labels_key=b"labels",
    names_key=b"label_names",
    member_sha256={
        "batches.meta": "f962466ef690d46b226450fb9aadc74ba4bc64a76aa526b5827fe4bc5c7125cb",
        "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
        "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
        "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
        "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
        "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
        "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
    },
)
_CIFAR100 = _Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    folder="cifar-100-python",
    labels_key=b"fine_labels",
    names_key=b"fine_label_names",
    member_sha256={
        "meta": "a5d4786345c961390f865e93b434dbd5c6904ce880667e0cb888c97d449f28b9",
        "train": "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b",
        "test": "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864",
    },
)


def _register(name: str, *, classes: int, megabytes: int) -> Callable[[Loader], Loader]:
    return register_dataset(
        name,
        f"60,000 photographs, 32 x 32, {classes} classes, {megabytes} MB",
        image_size=32,
        defaults=(
            Default("model", "eanet_tiny", "made for images of 32 x 32"),
            Default("recipe", "cifar", "made for CIFAR"),
        ),
    )


@_register("cifar10", classes=10, megabytes=163)
def load_cifar10(settings: DataSettings) -> SourceSplits:
    """Load CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels in 10 classes."""
    return _load(_CIFAR10, settings)


@_register("cifar100", classes=100, megabytes=161)
def load_cifar100(settings: DataSettings) -> SourceSplits:
    """Load CIFAR-100, 100 fine labels: 50,000 training and 10,000 test images of 32 x 32 pixels."""
    return _load(_CIFAR100, settings)


def _load(archive: _Archive, settings: DataSettings) -> SourceSplits:
    names = archive.member_sha256
    path = find_published(
        settings, archive.url, archive.sha256, folder=archive.folder, member=next(iter(names))
    )
    pickles: dict[str, dict[bytes, Any]] = {}
    for name, data in _members(archive, path):
        if hashlib.sha256(data).hexdigest() != names[name]:
            raise EanetError(
                f"{path}: {name} is not the official file, by its SHA-256, and such a file is not "
                f"opened, since it could run anything; move it away to download {archive.url}"
            )
        pickles[name] = pickle.loads(data, encoding="bytes")
    if missing := sorted(names.keys() - pickles.keys()):
        raise EanetError(
            f"{path} lacks {', '.join(missing)}: it is not a whole archive or folder; move it "
            f"away to download {archive.url}"
        )
    meta, *train, test = (pickles[name] for name in names)
    classes = tuple(name.decode() for name in meta[archive.names_key])
    return SourceSplits(
        _image_set(train, archive, classes), test=_image_set([test], archive, classes)
    )


def _members(archive: _Archive, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each relevant member, without extracting to disk."""
    wanted = archive.member_sha256
    try:
        if path.is_dir():
            for name in wanted:
                if (path / name).is_file():
                    with (path / name).open("rb") as file:
                        yield name, file.read(MOST_BYTES)
            return
        with path.open("rb") as file, open_tar(file, MOST_BYTES) as tar:
            for member in tar:
                inner = PurePosixPath(member.name)
                is_wanted = inner.parent.name == archive.folder and inner.name in wanted
                if is_wanted and member.isreg() and (content := tar.extractfile(member)):
                    yield inner.name, content.read()
    except (*DAMAGED, OSError) as error:
        raise EanetError(
            f"{path} is damaged or not a tar archive ({error}); move it away to download it anew"
        ) from error


def _image_set(
    batches: Sequence[dict[bytes, Any]], archive: _Archive, classes: tuple[str, ...]
) -> ImageSet:
    images = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([batch[archive.labels_key] for batch in batches])
    return ImageSet(_to_nhwc(images), labels.astype(np.int64), classes)


def _to_nhwc(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert (n, 3072), channel by channel, to contiguous (n, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
