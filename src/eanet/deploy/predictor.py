"""Images in, class names and probabilities out."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

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

BATCH_SIZE = 16  # of a thread: what it computes stays in cache, and memory in bounds
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
        precision: ``fp32``, as models are evaluated, or ``bf16``: faster where the processor has
            it, with probabilities that differ by up to a hundredth.
    """

    def __init__(
        self,
        model: Classifier,
        device: str = "auto",
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        self.device = resolve_device(device)
        self.precision = precision
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
        if is_one or not isinstance(images, Iterable):
            return self._classify([self._decode(images)], _checked(top))
        predictions = []
        with closing(self._answers(images, _checked(top))) as answers:
            for _, answer in answers:
                if isinstance(answer, EanetError):
                    raise answer
                predictions.append(answer)
        return predictions

    def predict_files(
        self, paths: Iterable[Path], top: int = 5
    ) -> Generator[tuple[Path, Prediction | EanetError]]:
        """Classify image files, in their order; for one that cannot be read, the error.

        Until it ends or is closed, threads that begin to compute elsewhere take one core each.
        """
        return self._answers(paths, _checked(top))

    def _answers(
        self, images: Iterable[T], top: int
    ) -> Generator[tuple[T, Prediction | EanetError]]:
        """As many threads as PyTorch would take, each with a batch that it decodes and classifies.

        Where threads share every operation instead, each waits for the slowest hundreds of times a
        batch, and spends its core on waiting: badly so where a core has something else to do.
        """
        threads = torch.get_num_threads()
        size = BATCH_SIZE
        if isinstance(images, Sized):
            size = max(1, min(size, -(-len(images) // threads)))  # a share for every thread
        # Paths are decoded there, open files and images here: one may be there twice.
        ready = ((i, i if isinstance(i, str | Path) else self._decode(i)) for i in images)
        work = partial(self._answer, top=top)
        batches = in_parallel(work, _batches(ready, size), threads, ahead=2 * threads)
        try:
            for batch in batches:
                yield from batch
        finally:
            batches.close()
            torch.set_num_threads(threads)  # for threads to come, whose count `_answer` has set

    def _answer(
        self, batch: list[tuple[T, str | Path | Pixels]], top: int
    ) -> list[tuple[T, Prediction | EanetError]]:
        """What to say of each image, by this thread alone."""
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        decoded = [self._try_decode(image) for _, image in batch]
        found = iter(self._classify([p for p in decoded if isinstance(p, np.ndarray)], top))
        return [
            (image, pixels if isinstance(pixels, EanetError) else next(found))
            for (image, _), pixels in zip(batch, decoded, strict=True)
        ]

    def _decode(self, image: Any) -> Pixels:
        if isinstance(image, str):
            image = Path(image)
        if not isinstance(image, Path | Image.Image) and not hasattr(image, "read"):
            raise WrongArgumentError(
                f"an image is a path, an open file or a Pillow image, not {type(image).__name__}"
            )
        return decode_image(image, self.model.config.image_size)

    def _try_decode(self, image: str | Path | Pixels) -> Pixels | EanetError:
        if isinstance(image, np.ndarray):
            return image
        try:
            return self._decode(image)
        except EanetError as error:
            return error

    @torch.inference_mode()
    def _classify(self, images: Sequence[Pixels], top: int) -> list[Prediction]:
        if not images:
            return []
        pixels = np.stack(images)  # (B, H, W, C)
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.model(batch)  # (B, K)
        probabilities = logits.float().softmax(dim=1)  # (B, K)
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


def _checked(top: int) -> int:
    if top < 1:
        raise WrongArgumentError(f"top={top}: should be 1 or more")
    return top


def _batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(things)
    while batch := list(islice(rest, size)):
        yield batch


def load(
    where: str | Path, device: str = "auto", precision: Literal["fp32", "bf16"] = "fp32"
) -> Predictor:
    """A trained model, ready to classify images.

    Args:
        where: a run directory, a model file, a bundled model or a Hub id.
        device: where to compute.
        precision: what to compute in; see `Predictor`.

    Raises:
        EanetError: there is no such model.
    """
    model = load_model(where)
    if model.config.in_channels != 3:
        raise EanetError(f"{where} takes images of {model.config.in_channels} channels, not RGB")
    return Predictor(model, device, precision)
