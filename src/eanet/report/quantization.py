"""The accuracy that a file in 8 bits has lost."""

from __future__ import annotations

from pathlib import Path

from eanet.deploy.choosing import open_runtime
from eanet.deploy.export.images import OwnImages
from eanet.deploy.export.int8 import AccuracyLoss
from eanet.deploy.module import RuntimeModule
from eanet.metrics.evaluation import evaluate_model
from eanet.metrics.intervals import difference_interval
from eanet.models import Classifier


def measure_loss(model: Classifier, path: Path, own: OwnImages) -> AccuracyLoss:
    """Compare the top-1 of an exported file with that of its model.

    Args:
        model: before quantisation.
        path: ONNX file.
        own: images of the model; the validation images are used, else those to compare on.
    """
    images = own.images if own.validation is None else own.validation
    of = own.name if own.validation is None else "validation images"
    exported = RuntimeModule(open_runtime(path, "onnxruntime"))
    before, after = (evaluate_model(m, images).in_top(1) for m in (model, exported))
    low, high = difference_interval(before, after, images.groups)
    top1, top1_before = float(after.mean()), float(before.mean())
    return AccuracyLoss(of, len(images), top1, top1_before, top1_before - top1, low, high)
