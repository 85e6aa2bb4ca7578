"""What settings are called in Keras, timm, fastai, Ultralytics and scikit-learn."""

from __future__ import annotations

from collections.abc import Collection, Mapping

NAMES: Mapping[str, str] = {
    "amp": "precision",
    "arch": "model",
    "batch": "batch_size",
    "bs": "batch_size",
    "class_weight": "balance",
    "class_weights": "balance",
    "drop_path_rate": "drop_path",
    "drop_rate": "dropout",
    "early_stopping": "patience",
    "img_size": "image_size",
    "imgsz": "image_size",
    "input_size": "image_size",
    "lr": "learning_rate",
    "mixed_precision": "precision",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "num_workers": "threads",
    "output_dir": "output",
    "pretrained": "init",
    "project": "output",
    "random_state": "seed",
    "sample_weight": "balance",
    "smoothing": "label_smoothing",
    "validation_data": "validation_fraction",
    "wd": "weight_decay",
    "weights": "init",
}


def name_here(name: str, known: Collection[str]) -> str | None:
    """Return what a setting that is called so elsewhere is called here, if it is among `known`.

    The dashes of options do not count.
    """
    options = {other.lstrip("-").replace("-", "_"): other for other in known}
    return options.get(NAMES.get(name.lstrip("-").replace("-", "_"), ""))
