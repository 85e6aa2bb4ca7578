"""Images in, class names and probabilities out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from eanet.data.decode import decode_image
from eanet.data.parallel import in_parallel
from eanet.deploy.prediction import Outputs, Prediction, decide
from eanet.deploy.threads import compute, use_one_core
from eanet.device import resolve_device
from eanet.errors import EanetError, WrongArgumentError
from eanet.models import Classifier, load_model
from eanet.models.weights import check_head
from eanet.ops.kernels import build_kernels

BATCH_SIZE = 16  # per thread: small, so that its data fit in the CPU cache and memory is bounded
T = TypeVar("T")
Pixels = NDArray[np.uint8]
Source = str | Path | BinaryIO | Image.Image


class Predictor:
    """A trained classifier with its image preprocessing.

    Args:
        model: the classifier; it is moved to the device and put into evaluation mode.
        device: where to compute; ``auto`` takes a GPU if available.
        precision: ``fp32``, as in evaluation, or ``bf16``: faster if the processor supports it,
            with probabilities that differ by up to 0.01.

    Raises:
        EanetError: the model does not take RGB images, or its head does not fit its classes.
    """

    def __init__(
        self,
        model: Classifier,
        device: str = "auto",
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        check_head(model)
        if model.config.in_channels != 3:
            raise EanetError(f"the model takes {model.config.in_channels}-channel images, not RGB")
        self.device = resolve_device(device)
        self.precision = precision
        self.model = model.to(self.device).eval()
        if self.device == "cpu":
            build_kernels()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's logits."""
        return self.model.classes

    def predict(self, images: Source | Iterable[Source], top: int = 5) -> list[Prediction]:
        """Classify images.

        Args:
            images: one or several paths, open files or Pillow images, of any size and mode.
            top: how many classes to return per image.

        Raises:
            EanetError: one of them is no image or cannot be read, or ``top`` is below 1.
        """
        is_one = isinstance(images, str | bytes | np.ndarray) or hasattr(images, "read")
        if is_one or not isinstance(images, Iterable):
            work = partial(self.classify, [self.decode(images)], _checked(top))
            return compute(work) if self.device == "cpu" else work()
        predictions = []
        with closing(self._predict_each(images, _checked(top))) as results:
            for _, result in results:
                if isinstance(result, EanetError):
                    raise result
                predictions.append(result)
        return predictions

    def predict_files(
        self, paths: Iterable[Path], top: int = 5
    ) -> Generator[tuple[Path, Prediction | EanetError]]:
        """Classify image files in order; an unreadable one yields the error."""
        return self._predict_each(paths, _checked(top))

    def _predict_each(
        self, images: Iterable[T], top: int
    ) -> Generator[tuple[T, Prediction | EanetError]]:
        """Classify with as many threads as PyTorch has cores, each on batches of its own.

        If threads shared every operation instead, each would wait for the slowest hundreds of times
        per batch and keep its core busy waiting, which is worst when a core has other work.
        """
        size, threads = BATCH_SIZE, torch.get_num_threads()
        # Threads decode paths; open files and images are decoded here, as one may occur twice.
        ready = ((i, i if isinstance(i, str | Path) else self.decode(i)) for i in images)
        work = partial(self._predict_batch, top=top)
        if isinstance(images, Sized):
            size = max(1, min(size, -(-len(images) // threads)))  # a share for every thread
        batches = in_parallel(
            work, _batches(ready, size), threads, ahead=2 * threads, initializer=use_one_core
        )
        with closing(batches):
            for batch in batches:
                yield from batch

    def _predict_batch(
        self, batch: list[tuple[T, str | Path | Pixels]], top: int
    ) -> list[tuple[T, Prediction | EanetError]]:
        """Decode and classify a batch."""
        decoded = [self._try_decode(image) for _, image in batch]
        predictions = iter(self.classify([p for p in decoded if isinstance(p, np.ndarray)], top))
        return [
            (image, pixels if isinstance(pixels, EanetError) else next(predictions))
            for (image, _), pixels in zip(batch, decoded, strict=True)
        ]

    def decode(self, image: Any) -> Pixels:
        """Return what the model sees of a path, open file or Pillow image: pixels (S, S, 3).

        Raises:
            EanetError: it is no image or cannot be read.
        """
        if isinstance(image, str):
            image = Path(image)
        if not isinstance(image, Path | Image.Image) and not hasattr(image, "read"):
            raise WrongArgumentError(
                f"an image is a path, an open file or a Pillow image, not {type(image).__name__}"
            )
        config = self.model.config
        return decode_image(image, config.image_size, config.preprocessing)

    def _try_decode(self, image: str | Path | Pixels) -> Pixels | EanetError:
        if isinstance(image, np.ndarray):
            return image
        try:
            return self.decode(image)
        except EanetError as error:
            return error

    @torch.inference_mode()
    def classify(self, images: Sequence[Pixels], top: int = 5) -> list[Prediction]:
        """Classify what `decode` returned, as one batch, in the calling thread.

        Raises:
            EanetError: the model's outputs are not finite.
        """
        if not images:
            return []
        pixels = np.stack(images)  # (B, H, W, C)
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            logits, distance = self.model.forward_with_distance(batch)  # (B, K), (B,)
        outputs = Outputs(
            logits.float().cpu().numpy(), None if distance is None else distance.cpu().numpy()
        )
        return decide(outputs, self.classes, top)


def _checked(top: int) -> int:
    if top < 1:
        raise WrongArgumentError(f"top={top}: should be 1 or more")
    return top


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def load(
    where: str | Path, device: str = "auto", precision: Literal["fp32", "bf16"] = "fp32"
) -> Predictor:
    """Load a trained model, ready to classify images.

    Args:
        where: a run directory, a model file, a bundled model or a Hub id.
        device: where to compute.
        precision: ``fp32`` or ``bf16``; see `Predictor`.

    Raises:
        EanetError: there is no such model, or it does not take RGB images.
    """
    return Predictor(load_model(where), device, precision)
