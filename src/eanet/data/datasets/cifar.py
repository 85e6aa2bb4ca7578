"""CIFAR-10 and CIFAR-100 from their official archives (Krizhevsky, 2009)."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eanet.config import DataSettings
from eanet.data.download import download
from eanet.data.imageset import ImageSet
from eanet.data.registry import Default, register_dataset
from eanet.data.splits import SourceSplits
from eanet.errors import EanetError
from eanet.files import cache_dir, user_path

BASE_URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True, kw_only=True)
class _Archive:
    """Names, keys and SHA-256 sums of one of the two archives."""

    file: str
    sha256: str
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels_key: bytes
    names_key: bytes
    member_sha256: dict[str, str]


_CIFAR10 = _Archive(
    file="cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{n}" for n in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
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
    file="cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    folder="cifar-100-python",
    train=("train",),
    test="test",
    meta="meta",
    labels_key=b"fine_labels",
    names_key=b"fine_label_names",
    member_sha256={
        "train": "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b",
        "test": "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864",
        "meta": "a5d4786345c961390f865e93b434dbd5c6904ce880667e0cb888c97d449f28b9",
    },
)


DEFAULTS = (
    Default("model", "eanet_tiny", "made for images of 32 x 32"),
    Default("recipe", "cifar", "made for CIFAR"),
)


@register_dataset(
    "cifar10",
    "60,000 photographs, 32 x 32, 10 classes, 163 MB",
    image_size=32,
    defaults=DEFAULTS,
)
def load_cifar10(settings: DataSettings) -> SourceSplits:
    """Load CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels in 10 classes."""
    return _load(_CIFAR10, settings)


@register_dataset(
    "cifar100",
    "60,000 photographs, 32 x 32, 100 classes, 161 MB",
    image_size=32,
    defaults=DEFAULTS,
)
def load_cifar100(settings: DataSettings) -> SourceSplits:
    """Load CIFAR-100, 100 fine labels: 50,000 training and 10,000 test images of 32 x 32 pixels."""
    return _load(_CIFAR100, settings)


def _load(archive: _Archive, settings: DataSettings) -> SourceSplits:
    path = _locate(archive, settings)
    pickles: dict[str, dict[bytes, Any]] = {}
    unknown = []
    for name, data in _members(archive, path):
        if hashlib.sha256(data).hexdigest() != archive.member_sha256[name]:
            unknown.append(name)
        pickles[name] = _unpickle(data, f"{path}: {name}")
    if missing := sorted(archive.member_sha256.keys() - pickles.keys()):
        raise EanetError(
            f"{path} lacks {', '.join(missing)}: it is not a whole {archive.file}; "
            "move it away to download the official one"
        )
    try:
        classes = tuple(name.decode() for name in pickles[archive.meta][archive.names_key])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise EanetError(f"{path}: {archive.meta} does not list the class names") from error
    train, test = (
        _image_set([(f"{path}: {name}", pickles[name]) for name in names], archive, classes)
        for names in (archive.train, (archive.test,))
    )
    notes = (f"not the official files, by SHA-256: {', '.join(unknown)} in {path}",)
    return SourceSplits(train, test=test, notes=notes if unknown else ())


def _locate(archive: _Archive, settings: DataSettings) -> Path:
    """Return the archive file or the folder extracted from it; download the archive if missing."""
    own = settings.data_dir or os.environ.get("EANET_DATA_DIR") or cache_dir()
    base = user_path(own)
    if base.is_file() or (base / archive.meta).is_file():
        return base
    file, folder = base / archive.file, base / archive.folder
    if file.is_file():
        return file
    if folder.is_dir():
        return folder
    return download(BASE_URL + archive.file, file, archive.sha256)


def _members(archive: _Archive, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each relevant member, without extracting to disk."""
    wanted = archive.member_sha256
    if path.is_dir():
        for name in wanted:
            if (path / name).is_file():
                yield name, (path / name).read_bytes()
        return
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                inner = PurePosixPath(member.name)
                if inner.parent.name == archive.folder and inner.name in wanted:
                    file = tar.extractfile(member)
                    if file:
                        yield inner.name, file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise EanetError(
            f"{path} is damaged or not a tar archive ({error}); move it away to download it anew"
        ) from error


class _Unpickler(pickle.Unpickler):
    """Admits only containers, text, bytes, numbers and arrays; nothing that could run code."""

    _admitted = {  # noqa: RUF012
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("_codecs", "encode"): codecs.encode,  # how protocol 2 writes bytes
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._admitted[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _unpickle(data: bytes, name: str) -> dict[bytes, Any]:
    try:
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # hostile or damaged pickles raise nearly anything
        reason = " ".join(str(error).split())
        raise EanetError(
            f"{name} is refused ({reason}): only containers, text, numbers and arrays are read"
        ) from error
    if not isinstance(content, dict):
        raise EanetError(f"{name} does not hold a dictionary")
    return content


def _image_set(
    batches: list[tuple[str, dict[bytes, Any]]], archive: _Archive, classes: tuple[str, ...]
) -> ImageSet:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for name, batch in batches:
        rows: Any = batch.get(b"data")
        own: Any = batch.get(archive.labels_key)
        fits = isinstance(rows, np.ndarray) and rows.dtype == np.uint8 and isinstance(own, list)
        fits = fits and rows.shape == (len(own), 3072)
        if not fits or not all(type(x) is int and 0 <= x < len(classes) for x in own):
            raise EanetError(
                f"{name} does not hold {b'data'!r}, uint8 (n, 3072), with n labels in "
                f"{archive.labels_key!r}, whole numbers below {len(classes)}"
            )
        images.append(rows)
        labels += own
    return ImageSet(_to_nhwc(np.concatenate(images)), np.array(labels, dtype=np.int64), classes)


def _to_nhwc(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert (n, 3072), channel by channel, to contiguous (n, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
