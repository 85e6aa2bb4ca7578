"""Images in, class names and probabilities out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from functools import cached_property, partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.data.arrays import decode_for, each_image
from eanet.data.parallel import in_parallel
from eanet.deploy.choosing import open_runtime
from eanet.deploy.prediction import Prediction, decide
from eanet.deploy.predictions import Predictions
from eanet.deploy.runtime import Pixels, Precision, Runtime, RuntimeName
from eanet.device import Device
from eanet.errors import MOST_NAMES, EanetError, WrongArgumentError
from eanet.model_files.config import ModelConfig
from eanet.model_files.exported import is_exported
from eanet.model_files.find import locate_model
from eanet.pages.notebook import MOST_IMAGES, show
from eanet.parsing import run_name

if TYPE_CHECKING:
    from eanet.deploy.module import RuntimeModule
    from eanet.models import Classifier

BATCH_SIZE = 16  # per thread: small, so that its data fit in the CPU cache and memory is bounded
EMBEDDING_BATCH = 64
T = TypeVar("T")
Vectors = NDArray[np.float32]
Source = str | PathLike[str] | BinaryIO | Image.Image | NDArray[Any]


class Predictor:
    """A trained classifier with its image preprocessing.

    Args:
        model: the classifier, which PyTorch then computes: it is moved to the device and put into
            evaluation mode. Or whatever computes one, as `load` chooses it.
        device: where PyTorch computes; ``auto`` takes a GPU if available.
        precision: of PyTorch: ``fp32``, as in evaluation, or ``bf16``: faster if the processor
            supports it, with probabilities that differ by up to 0.01.
        where: where a model that PyTorch does not compute was loaded from.

    Attributes:
        runtime: what computes; its ``name`` is ``torch``, ``onnxruntime`` or ``openvino``.

    Raises:
        EanetError: it is no `Classifier`, does not take RGB images, or its head does not fit its
            classes; or there is no such device or precision.

    Examples:
        A model of one's own; `load` makes one of a run or a file.

        >>> model = eanet.create_model("eanet_nano", classes=["ant", "bee"], image_size=32)
        >>> eanet.Predictor(model, device="cpu").classes
        ('ant', 'bee')
    """

    def __init__(
        self,
        model: Classifier | Runtime,
        device: str = "auto",
        precision: Precision = "fp32",
        *,
        where: str | Path = "",
    ) -> None:
        self.runtime = model if isinstance(model, Runtime) else _in_torch(model, device, precision)
        self._where = where

    def __repr__(self) -> str:
        config, where = self.config, f"{self.device} in {self.precision}"
        images = f"{config.image_size} x {config.image_size} pixels"
        return (
            f"Predictor({config.name}: {len(self.classes):,} classes, {images}, "
            f"{self.runtime.name} on {where})"
        )

    def _repr_html_(self) -> str:
        config = self.config
        facts = {
            "classes": f"{len(self.classes):,}: {', '.join(self.classes[:MOST_NAMES])}"
            + ", ..." * (len(self.classes) > MOST_NAMES),
            "images": f"{config.image_size} x {config.image_size} pixels "
            f"({config.preprocessing.fit})",
            "computed by": f"{self.runtime.name} on {self.device} in {self.precision}",
        }
        if str(self._where):
            facts["from"] = str(self._where)
        return show(f"Predictor {config.name}", facts=facts)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """A graph of another library cannot be pickled: its model is loaded again from its file."""
        if self.runtime.name == "torch":
            return super().__reduce_ex__(protocol)
        return load, (locate_model(self._where), self.device, self.precision, self.runtime.name)

    @cached_property
    def model(self) -> Classifier:
        """The network in PyTorch, loaded now if something else computes it.

        Raises:
            EanetError: an exported file, which has none.
        """
        from eanet.deploy.torch_runtime import TorchRuntime
        from eanet.models import load_model

        if isinstance(self.runtime, TorchRuntime):
            return self.runtime.model
        if is_exported(self._where):
            raise EanetError(f"{self._where} is an exported file; the run it is from has a network")
        return load_model(self._where)

    @cached_property
    def module(self) -> Classifier | RuntimeModule:
        """The model as a module of PyTorch; an exported file shows neither layers nor gradients."""
        from eanet.deploy.module import RuntimeModule

        return RuntimeModule(self.runtime) if is_exported(self._where) else self.model

    @property
    def config(self) -> ModelConfig:
        """The model's name, classes, image size and preprocessing."""
        return self.runtime.config

    @property
    def device(self) -> Device:
        """Where it is computed: ``cpu``, ``cuda`` or ``mps``."""
        return self.runtime.device

    @property
    def precision(self) -> Precision:
        """What it is computed in: ``fp32`` or ``bf16``."""
        return self.runtime.precision

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's logits."""
        return self.config.classes

    def predict(self, images: Source | Iterable[Source], top: int = 5) -> Predictions:
        """Classify images; a notebook shows the answers with their images.

        Args:
            images: one or several paths, open files, Pillow images or arrays (H, W) or (H, W, 3) of
                0 to 255, or of floats of 0 to 1, of any size and mode; or a batch of arrays.
            top: how many classes to return per image.

        Raises:
            EanetError: one of them is no image or cannot be read, or ``top`` is below 1.
        """
        each, top = each_image(images), _checked(top)
        if isinstance(each, list) and len(each) == 1:  # which all threads share
            return Predictions(self.classify([self.decode(each[0])], top), each, self.config)
        predictions: list[Prediction] = []
        first: list[Source] = []
        with closing(self._predict_each(each, top)) as results:
            for image, result in results:
                if isinstance(result, EanetError):
                    raise result
                predictions.append(result)
                if len(first) < MOST_IMAGES:
                    first.append(image)
        return Predictions(predictions, first, self.config)

    def predict_files(
        self, paths: Iterable[Path], top: int = 5
    ) -> Generator[tuple[Path, Prediction | EanetError]]:
        """Classify image files in order; an unreadable one yields the error."""
        return self._predict_each(paths, _checked(top))

    def embed(self, images: Source | Iterable[Source]) -> Vectors:
        """Return what the network makes of images before its last layer, (n, dim).

        PyTorch computes it, whatever computes the answers.

        Args:
            images: as for `predict`.

        Raises:
            EanetError: one of them is no image or cannot be read; or the model is an exported file,
                which does not tell.
        """
        vectors = [self._embed([self.decode(image)])[0] for image in each_image(images)]
        return np.stack(vectors) if vectors else np.empty((0, self.model.head.in_features), "f4")

    def embed_files(self, paths: Iterable[Path]) -> Generator[tuple[Path, Vectors | EanetError]]:
        """Embed image files in order, each as (dim,); an unreadable one yields the error."""
        with closing(in_parallel(self._decoded, paths)) as decoded:
            for batch in _batches(decoded, EMBEDDING_BATCH):
                readable = [pixels for _, pixels in batch if isinstance(pixels, np.ndarray)]
                vectors = iter(self._embed(readable)) if readable else iter(())
                for path, pixels in batch:
                    yield path, pixels if isinstance(pixels, EanetError) else next(vectors)

    def _decoded(self, path: Path) -> tuple[Path, Pixels | EanetError]:
        return path, self._try_decode(path)

    def _embed(self, images: Sequence[Pixels]) -> Vectors:
        """Embed what `decode` returned, as one batch: (B, dim)."""
        import torch

        device = self.model.head.weight.device
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)  # (B, C, H, W)
        with torch.inference_mode():
            vectors: Vectors = self.model.pooled_features(pixels).float().cpu().numpy()
        return vectors

    def _predict_each(
        self, images: Iterable[T], top: int
    ) -> Generator[tuple[T, Prediction | EanetError]]:
        """Classify with as many threads as there are cores, each on batches of its own.

        If threads shared every operation instead, each would wait for the slowest hundreds of times
        per batch and keep its core busy waiting, which is worst when a core has other work.
        """
        size, threads = BATCH_SIZE, self.runtime.threads
        # Threads decode paths; open files and images are decoded here, as one may occur twice.
        ready = ((i, i if isinstance(i, str | Path) else self.decode(i)) for i in images)
        work = partial(self._predict_batch, top=top)
        if isinstance(images, Sized):
            size = max(1, min(size, -(-len(images) // threads)))  # a share for every thread
        batches = in_parallel(work, _batches(ready, size), threads, ahead=2 * threads)
        with closing(batches):
            for batch in batches:
                yield from batch

    def _predict_batch(
        self, batch: list[tuple[T, str | Path | Pixels]], top: int
    ) -> list[tuple[T, Prediction | EanetError]]:
        """Decode and classify a batch."""
        decoded = [self._try_decode(image) for _, image in batch]
        readable = [pixels for pixels in decoded if isinstance(pixels, np.ndarray)]
        predictions = iter(self.classify(readable, top, on_one_core=True))
        return [
            (image, pixels if isinstance(pixels, EanetError) else next(predictions))
            for (image, _), pixels in zip(batch, decoded, strict=True)
        ]

    def decode(self, image: Any) -> Pixels:
        """Return what the model sees of a path, open file, Pillow image or array: (S, S, 3).

        Raises:
            EanetError: it is no image or cannot be read.
        """
        return decode_for(self.config, image)

    def _try_decode(self, image: str | Path | Pixels) -> Pixels | EanetError:
        if isinstance(image, np.ndarray):
            return image
        try:
            return self.decode(image)
        except EanetError as error:
            return error

    def classify(
        self, images: Sequence[Pixels], top: int = 5, *, on_one_core: bool = False
    ) -> list[Prediction]:
        """Classify what `decode` returned, as one batch.

        Args:
            images: of the model's size, (S, S, 3).
            top: how many classes to return per image.
            on_one_core: as in `eanet.deploy.runtime.Runtime`: other threads have the other cores.

        Raises:
            EanetError: the model's outputs are not finite.
        """
        if not images:
            return []
        # (B, S, S, 3); a lone image is not copied
        pixels = images[0][None] if len(images) == 1 else np.stack(images)
        outputs = self.runtime.on_one_core(pixels) if on_one_core else self.runtime(pixels)
        return decide(outputs, self.classes, top)


def _in_torch(model: Classifier, device: str, precision: Precision) -> Runtime:
    from eanet.deploy.torch_runtime import TorchRuntime

    return TorchRuntime(model, device, precision)


def _checked(top: int) -> int:
    if top < 1:
        raise WrongArgumentError(f"top={top}: should be 1 or more")
    return top


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def load(
    where: str | PathLike[str],
    device: str = "auto",
    precision: Precision = "fp32",
    runtime: RuntimeName = "auto",
) -> Predictor:
    """Load a trained model, ready to classify images.

    Args:
        where: a run directory or what `train` returned, a model file, an exported ONNX file, a
            bundled model or a Hub id.
        device: where to compute: ``cpu``, ``cuda``, ``mps`` or ``auto``, a GPU if there is one.
        precision: ``fp32`` or ``bf16``; see `Predictor`.
        runtime: the library to compute with: ``torch``, ``onnxruntime``, ``openvino`` or ``auto``,
            the fastest that is installed and able. For OpenVINO, the first time converts the model,
            which takes seconds; the graph is kept in the cache folder.

    Raises:
        EanetError: there is no such model, or it does not take RGB images; or there is no such
            device or library.

    Examples:
        >>> predictor = eanet.load("eanet_tiny_cifar100", runtime="torch", device="cpu")
        >>> predictor
        Predictor(eanet_tiny: 100 classes, 32 x 32 pixels, torch on cpu in fp32)
        >>> from PIL import Image
        >>> (prediction,) = predictor.predict(Image.new("RGB", (640, 480)), top=3)
        >>> len(prediction.classes)
        3
    """
    where = run_name(where)
    return Predictor(open_runtime(where, runtime, device, precision), where=where)
