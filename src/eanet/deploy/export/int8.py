"""ONNX files that compute in 8 bits: static quantisation by ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from eanet.console import only_errors
from eanet.data.evenly import evenly
from eanet.data.imageset import ImageSet
from eanet.deploy.export.onnx_file import onnx_model, open_onnx
from eanet.deploy.export.program import INPUT, Pixels
from eanet.files import replacing
from eanet.models import Classifier

if TYPE_CHECKING:
    from onnx import ModelProto

CALIBRATION = 256  # images
_EXACT = ("resize/", "model.detector/")  # beginnings of the names of nodes left as they are
_BATCH, _TURNS = 32, 9


@dataclass(frozen=True)
class AccuracyLoss:
    """What quantisation costs.

    Attributes:
        of: the images that it was measured on.
        images: how many.
        top1: accuracy after quantisation, as a fraction.
        top1_before: before.
        lost: the difference.
        lost_low: lower end of its 95 % confidence interval.
        lost_high: upper end.
    """

    of: str
    images: int
    top1: float
    top1_before: float
    lost: float
    lost_low: float
    lost_high: float


def write_int8(model: Classifier, path: Path, weights_sha256: str, train: ImageSet) -> float:
    """Write a model as `write_onnx`, with products of matrices and convolutions in 8 bits.

    Weights have 7 bits: with 8, processors without VNNI overflow (x86 before 2019 and many later
    ones), and `eanet_tiny_cifar100` loses 12 points there instead of less than one. What resizes
    and normalises stays as it is, and so do distances and everything that takes little time.

    Args:
        model: a classifier of RGB images.
        path: the file to write or replace.
        weights_sha256: see `file_metadata`.
        train: images to find the ranges of values on; at most `CALIBRATION` are used.

    Returns:
        How many times as fast as without quantisation it is here: in ONNX Runtime, in batches of
        32 images of the model's size.

    Raises:
        EanetError: as `write_onnx`.
    """
    plain = onnx_model(model, weights_sha256)
    pixels = train.images[evenly(range(len(train)), CALIBRATION)]
    content = plain.SerializeToString()  # the quantiser changes what it is given
    few = np.resize(pixels, (_BATCH, *pixels.shape[1:]))
    with replacing(path) as partial:
        _quantize(plain, partial, pixels)
        return _speedup(content, partial, few)


def _quantize(plain: ModelProto, path: Path, pixels: Pixels) -> None:
    from onnxruntime.quantization import QuantType, quantize_static

    with only_errors(None):
        quantize_static(
            plain,
            path,
            _Batches(pixels),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            nodes_to_exclude=[
                node.name for node in plain.graph.node if node.name.startswith(_EXACT)
            ],
        )


class _Batches:
    """Pixels as ONNX Runtime's calibration asks for them."""

    def __init__(self, pixels: Pixels) -> None:
        self._batches: Iterator[Pixels] = (
            pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _speedup(plain: bytes, quantized: Path, pixels: Pixels) -> float:
    """Measure in turns, so that other programs disturb both alike."""
    answers = [open_onnx(plain), open_onnx(quantized)]
    seconds: list[list[float]] = [[], []]
    for _ in range(_TURNS):
        for answer, times in zip(answers, seconds, strict=True):
            start = time.perf_counter()
            answer(pixels)
            times.append(time.perf_counter() - start)
    before, after = (median(times[1:]) for times in seconds)
    return before / after
