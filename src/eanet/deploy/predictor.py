"""Images in, class names and probabilities out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from eanet.data.archive import is_archive, unpack
from eanet.data.decode import decode_image
from eanet.data.layout import list_images
from eanet.data.parallel import in_parallel
from eanet.device import resolve_device
from eanet.errors import EanetError, WrongArgumentError
from eanet.models import Classifier, load_model

BATCH_SIZE = 64
T = TypeVar("T")
Pixels = NDArray[np.uint8]
Source = str | Path | BinaryIO | Image.Image


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of an image, best first."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def top1(self) -> str | None:
        """The most probable class; None where `above` left none."""
        return self.classes[0] if self.classes else None

    def above(self, threshold: float) -> Prediction:
        """Those of the classes that are at least as probable as ``threshold``, maybe none."""
        count = sum(probability >= threshold for probability in self.probabilities)
        return Prediction(self.classes[:count], self.probabilities[:count])


class Predictor:
    """A trained classifier with everything that an image goes through before it.

    Args:
        model: the classifier.
        device: where to compute; ``auto`` takes a GPU where there is one.
    """

    def __init__(self, model: Classifier, device: str = "auto") -> None:
        self.device = resolve_device(device)
        self.model = model.to(self.device).eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's logits."""
        return self.model.classes

    def predict(self, images: Source | Iterable[Source], top: int = 5) -> list[Prediction]:
        """Classify images.

        Args:
            images: one or several: paths, open files or Pillow images, of any size and mode.
            top: how many classes to name for each.

        Raises:
            EanetError: one of them is no image or cannot be read, or ``top`` is below 1.
        """
        is_one = isinstance(images, str | bytes | np.ndarray) or hasattr(images, "read")
        several = images if isinstance(images, Iterable) and not is_one else [images]
        predictions: list[Prediction] = []
        for batch in _batches(several):
            # Not open files and images: the same one may be there twice, and reading changes it.
            are_paths = all(isinstance(image, str | Path) for image in batch)
            decoded = in_parallel(self._decode, batch) if are_paths else map(self._decode, batch)
            predictions += self._classify(list(decoded), top)
        return predictions

    def predict_files(
        self, paths: Iterable[Path], top: int = 5
    ) -> Iterator[tuple[Path, Prediction | EanetError]]:
        """Classify image files, in their order; for one that cannot be read, the error.

        The next images are decoded while the model is at work on the last.
        """
        for batch in _batches(in_parallel(self._try_decode, paths)):
            readable = [pixels for _, pixels in batch if not isinstance(pixels, EanetError)]
            answers = iter(self._classify(readable, top))
            for path, pixels in batch:
                yield path, pixels if isinstance(pixels, EanetError) else next(answers)

    def _decode(self, image: Any) -> Pixels:
        if isinstance(image, str):
            image = Path(image)
        if not isinstance(image, Path | Image.Image) and not hasattr(image, "read"):
            raise WrongArgumentError(
                f"an image is a path, an open file or a Pillow image, not {type(image).__name__}"
            )
        return decode_image(image, self.model.config.image_size)

    def _try_decode(self, path: Path) -> tuple[Path, Pixels | EanetError]:
        try:
            return path, self._decode(path)
        except EanetError as error:
            return path, error

    @torch.inference_mode()
    def _classify(self, images: Sequence[Pixels], top: int) -> list[Prediction]:
        if top < 1:
            raise WrongArgumentError(f"top={top}: should be 1 or more")
        if not images:
            return []
        pixels = np.stack(images)  # (B, H, W, C)
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
        probabilities = self.model(batch).float().softmax(dim=1)  # (B, K)
        values, indices = probabilities.topk(min(top, len(self.classes)), dim=1)
        return [
            Prediction(tuple(self.classes[i] for i in order), tuple(row))
            for row, order in zip(values.tolist(), indices.tolist(), strict=True)
        ]


def find_images(arguments: Sequence[str], listing: Iterable[str] = ()) -> list[Path]:
    """The image files that a command line means.

    Args:
        arguments: files, folders (all images below them), archives (which are unpacked into the
            cache), patterns such as ``photos/*.jpg``, and ``-`` for ``listing``.
        listing: one path a line.

    Raises:
        EanetError: a path does not exist, or there is no image in a folder.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument).expanduser()
        if not argument:
            raise WrongArgumentError("the name of an image is empty")  # would be this folder
        if argument == "-":
            found += [Path(line.strip()) for line in listing if line.strip()]
        elif path.is_dir() or is_archive(path):
            inside = list_images(path if path.is_dir() else unpack(path))
            if not inside:
                raise EanetError(f"no image in {path}")
            found += inside
        elif os.path.lexists(path):  # a broken link is reported when it is read
            found.append(path)
        elif matches := sorted(glob(str(path), recursive=True)):  # noqa: PTH207 (any root)
            found += find_images(matches)
        else:
            raise EanetError(f"no such image or folder: {argument}")
    return found


def _batches(images: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(images)
    while batch := list(islice(rest, BATCH_SIZE)):
        yield batch


def load(where: str | Path, device: str = "auto") -> Predictor:
    """A trained model, ready to classify images.

    Args:
        where: a run directory, a model file or a Hub id.
        device: where to compute.

    Raises:
        EanetError: there is no such model.
    """
    model = load_model(where)
    if model.config.in_channels != 3:
        raise EanetError(f"{where} takes {model.config.in_channels} channels, not colour images")
    return Predictor(model, device)
