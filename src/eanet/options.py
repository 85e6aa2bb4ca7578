"""Settings as keywords of functions: editors complete them, and mypy finds misspelt ones.

Each dictionary has the fields of a model of settings, which says what they mean and checks values.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypedDict

from eanet.config import Fit, Freeze, LayoutName


class MachineOptions(TypedDict, total=False):
    """Those of `eanet.config.MachineSettings`."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "fp32", "bf16"]
    compile: Literal["auto", "on", "off"]
    threads: int | None


class ImageOptions(TypedDict, total=False):
    """Those of `eanet.config.DataSettings`, without folds."""

    validation_fraction: float
    validation_split: Literal["stratified", "last"]
    image_size: int | None
    fit: Fit | None
    layout: LayoutName
    names: str | Path | None
    levels: tuple[float, float] | None
    data_dir: str | Path | None
    group: str | None
    split_seed: int


class DataOptions(ImageOptions, total=False):
    """Those of `eanet.config.DataSettings`."""

    folds: int | None
    fold: int | None


class CommonOptions(MachineOptions, ImageOptions, total=False):
    """Those of `eanet.config.TrainSettings` that every training has."""

    flip: bool | None
    translate: float
    min_scale: float
    rotation: float
    zoom: float
    zoom_height: float | None
    zoom_width: float | None
    contrast: float
    trivial_augment: bool
    erasing: float
    mixup: float
    cutmix: float
    epochs: int
    minutes: float | None
    batch_size: int | None
    optimizer: Literal["adamw", "muon"]
    learning_rate: float | Literal["find"]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: float
    weight_decay: float
    decay_all: bool
    epsilon: float
    epsilon_hat: bool
    label_smoothing: float
    teacher_share: float
    dropout: float
    drop_path: float
    balance: Literal["off", "sampling", "loss"]
    freeze: Freeze
    views: int
    clip_norm: float | None
    ema: float | None
    patience: int | None
    teacher: str | os.PathLike[str] | None  # also what `train` returns
    recipe: str | None
    tensorboard: bool


class SharedOptions(CommonOptions, DataOptions, total=False):
    """Those of `eanet.config.TrainSettings` that all runs of a comparison share."""


class FoldOptions(CommonOptions, total=False):
    """Those of `eanet.config.TrainSettings` that all folds share, without ``data``."""

    model: str | None
    init: str | os.PathLike[str] | None
    seed: int
    output: str | Path
    name: str | None


class TrainOptions(FoldOptions, DataOptions, total=False):
    """Those of `eanet.config.TrainSettings`, without ``data``."""


class ResumeOptions(MachineOptions, total=False):
    """Those that a resumed run may change."""

    data: str | Path | None
    epochs: int | None


class BenchmarkOptions(MachineOptions, total=False):
    """Those of `eanet.benchmarking.settings.BenchmarkSettings`."""

    image_size: int
    batch_size: int
    dim: int
    seconds: float
    runtimes: bool
    output: str | Path | None


class AppOptions(TypedDict, total=False):
    """Those of `eanet.deploy.server.settings.AppSettings`."""

    max_files: int
    max_megabytes: int
    max_megapixels: int
    max_waiting: int
    threshold: float | None
    allow_host: tuple[str, ...]
    allow_origin: tuple[str, ...]
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["fp32", "bf16"]
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"]


class ServeOptions(AppOptions, total=False):
    """Those of `eanet.deploy.server.settings.ServeSettings`."""

    host: str
    port: int
    workers: int
    threads: int | None
