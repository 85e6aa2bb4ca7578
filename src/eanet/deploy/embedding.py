"""Embeddings: what a model makes of images before its last layer, to compare images by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import MofNCompleteColumn

from eanet.console import ImagesPerSecond, notice, progress_bar
from eanet.data.find import find_images
from eanet.deploy.predictor import Vectors, load
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import (
    check_writable,
    readable,
    replacing,
    replacing_together,
    user_path,
    write_csv,
)
from eanet.model_files.exported import is_exported
from eanet.parsing import run_name

IMAGE = "image"  # the column of the images' paths


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors that are near each other for images that look alike to a model.

    Attributes:
        images: the n images that could be read.
        vectors: one for each, (n, dim). Their cosine says how alike two images are, from -1 to 1.
        unreadable: the others.

    Examples:
        >>> from PIL import Image
        >>> Image.new("RGB", (64, 64)).save("black.png")
        >>> found = eanet.embed("eanet_tiny_cifar100", "black.png")
        >>> found.write("black.npy")
        (PosixPath('black.npy'), PosixPath('black.csv'))
    """

    images: tuple[Path, ...]
    vectors: Vectors = field(repr=False)
    unreadable: tuple[Path, ...] = ()

    def write(self, path: str | Path) -> tuple[Path, ...]:
        """Write them to a file, or two.

        Args:
            path: ``.npy``: for `numpy.load`, with the image of each row in a ``.csv`` beside it; or
                ``.parquet``: the columns ``image`` and ``embedding``, which needs pyarrow.

        Returns:
            The files, which replace others of the same name together.

        Raises:
            EanetError: it ends otherwise, pyarrow is missing, or it cannot be written; there is a
                ``.csv`` beside it of something else.
        """
        place = user_path(path)
        check_output(place)
        return _writer(place)(self, place)


def embed_files(
    where: str | Path, images: Sequence[str], listing: Iterable[str] = (), *, device: str = "auto"
) -> Embeddings:
    """Embed image files; those that cannot be read are named on standard error and left out.

    Args:
        where: a run directory, a model file, a bundled model or a Hub id.
        images: as in `find_images`.
        listing: as in `find_images`.
        device: where to compute.

    Raises:
        EanetError: as in `load_model` and `find_images`, or no image can be read.
    """
    if is_exported(where):
        raise WrongArgumentError(
            f"{where} is an exported file, which gives answers alone; name the run or model that "
            "it is from"
        )
    predictor = load(where, device, runtime="torch")
    paths = find_images(images, listing)
    read: list[Path] = []
    unreadable: list[Path] = []
    vectors: list[Vectors] = []
    with (
        closing(predictor.embed_files(paths)) as results,
        progress_bar(MofNCompleteColumn(), ImagesPerSecond()) as bar,
    ):
        for path, vector in bar.track(results, len(paths), description="embedding"):
            if isinstance(vector, EanetError):
                notice(f"eanet: error: {vector}")
                unreadable.append(path)
            else:
                read.append(path)
                vectors.append(vector)
    if not read:
        raise EanetError(f"none of {len(paths):,} images can be read")
    return Embeddings(tuple(read), np.stack(vectors), tuple(unreadable))


def embed(
    run: str | os.PathLike[str], images: str | Path | Sequence[str | Path], *, device: str = "auto"
) -> Embeddings:
    """Return what a model makes of images before its last layer: one vector each.

    Images that look alike to the model have vectors with a high cosine. `Predictor.embed` takes
    open files and Pillow images as well.

    Args:
        run: a run directory, a model file, a bundled model or a Hub id.
        images: one or several files, folders, archives or patterns.
        device: where to compute.

    Returns:
        The vectors with their images, which ``write`` writes as ``.npy`` or ``.parquet``. Images
        that cannot be read are named on standard error and left out.

    Raises:
        EanetError: there is no such model or image, or none can be read.

    Examples:
        >>> from PIL import Image
        >>> Image.new("RGB", (64, 64), "red").save("red.png")
        >>> eanet.embed("eanet_tiny_cifar100", "red.png").vectors.shape
        (1, 96)
    """
    given: Any = images  # or whatever else callers try
    is_one = isinstance(given, str | os.PathLike) or not isinstance(given, Iterable)
    several = [given] if is_one else list(given)
    for image in several:
        if not isinstance(image, str | os.PathLike):
            raise WrongArgumentError(
                f"eanet.embed takes paths, not {type(image).__name__}; eanet.load(run).embed takes "
                "images in memory"
            )
    if not several:
        raise WrongArgumentError("name the images to embed")
    return embed_files(run_name(run), [str(image) for image in several], device=device)


def check_output(path: Path) -> None:
    """Raise before long work if embeddings cannot be written to ``path``.

    Raises:
        EanetError: as in `Embeddings.write`.
    """
    _writer(path)
    if path.suffix.lower() == ".parquet":
        _parquet(path)
    else:
        _check_listing(path.with_suffix(".csv"))
    check_writable(path.parent)


def _writer(path: Path) -> Callable[[Embeddings, Path], tuple[Path, ...]]:
    writers = {".npy": _write_npy, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise WrongArgumentError(f"{path}: embeddings are written as {' or '.join(writers)}")
    return writers[path.suffix.lower()]


def _write_npy(embeddings: Embeddings, path: Path) -> tuple[Path, ...]:
    listing = path.with_suffix(".csv")
    with replacing_together(path.parent):
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, embeddings.vectors, allow_pickle=False)
        write_csv(listing, [IMAGE], ([image] for image in embeddings.images))
    return path, listing


def _check_listing(path: Path) -> None:
    """Raise if the list of images would replace a file that is no such list."""
    header = f"{IMAGE}\n".encode()
    try:
        with path.open("rb") as file:
            is_listing = file.readline(len(header)) == header
    except FileNotFoundError:
        return
    except OSError as error:
        raise EanetError(f"cannot replace {path}: {error.strerror}") from error
    if not is_listing:
        raise EanetError(
            f"{path}, where the images are listed, exists and was not written by eanet embed: move "
            "it, or name another file with --output"
        )


def _write_parquet(embeddings: Embeddings, path: Path) -> tuple[Path, ...]:
    arrow, parquet = _parquet(path)
    width = embeddings.vectors.shape[1]
    vectors = arrow.FixedSizeListArray.from_arrays(embeddings.vectors.ravel(), width)
    images = [readable(str(image)) for image in embeddings.images]  # Parquet takes UTF-8 alone
    table = arrow.table({IMAGE: images, "embedding": vectors})
    with replacing(path) as partial:
        parquet.write_table(table, partial)
    return (path,)


def _parquet(path: Path) -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise EanetError(
            f"writing {path} needs pyarrow: pip install pyarrow, or write .npy"
        ) from error
