"""How a training is computed: device, precision, processes, compiled or not."""

from __future__ import annotations

import logging
import os
import warnings

import torch
from lightning_fabric import Fabric

from eanet.config import TrainSettings
from eanet.device import (
    Device,
    has_bf16,
    has_compiler,
    keep_compiled,
    keep_freed_memory,
    resolve_device,
    warn_of_emulation,
)
from eanet.errors import EanetError
from eanet.models import Classifier
from eanet.models.operations import multiply_adds
from eanet.ops.kernels import build_kernels
from eanet.training.teacher import Teacher

# Compiling takes about a minute; without it, this many operations take several minutes.
WORTH_COMPILING = {"cpu": 2e13, "cuda": 1e15}
WORTH_COMPILING_MINUTES = 30.0  # compiling takes several on a busy machine


def training_operations(model: Classifier, images: int, teacher: Teacher | None = None) -> float:
    """Floating-point operations of training on ``images`` images.

    A multiply-add counts as two operations, and a backward pass as two forward passes. A teacher
    has only a forward pass.
    """
    taught = 0 if teacher is None else 2.0 * multiply_adds(teacher.model)
    return (6.0 * multiply_adds(model) + taught) * images


def decide_compile(settings: TrainSettings, device: Device, operations: float) -> tuple[bool, str]:
    """Decide whether to compile, and give the reason in a few words.

    Raises:
        EanetError: compiling was asked for but is not possible.
    """
    if settings.compile == "off":
        return False, "as asked"
    if not has_compiler(device):
        if settings.compile == "on":
            raise EanetError(
                "--compile on needs Python's headers (python3-dev) and, on processors, g++ (on "
                f"macOS clang++) or, on CUDA, Triton: not found for {device}; use --compile off"
            )
        return False, f"no compiler or no Python.h for {device}"
    if settings.compile == "on":
        return True, "as asked"
    if settings.minutes is None:
        worth = operations >= WORTH_COMPILING[device]
        work = f"{operations / 1e12:,.1f} TFLOP ahead"
    else:
        worth = settings.minutes >= WORTH_COMPILING_MINUTES
        work = f"{settings.minutes:g} minutes ahead"
    return worth, f"{work}, {'enough' if worth else 'too little'} to pay for a minute of compiling"


def resolve_precision(precision: str, device: Device) -> str:
    """Resolve ``auto`` to ``fp32`` or ``bf16``; return any other precision unchanged."""
    if precision != "auto":
        warn_of_emulation(precision, device)
        return precision
    return "bf16" if has_bf16(device) else "fp32"


def create_fabric(settings: TrainSettings) -> Fabric:
    """Create the engine of a run: one process, or as many as ``torchrun`` has started.

    Raises:
        EanetError: the requested device is not available.
    """
    # Our own notices already say what Fabric would log about its choices.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # Harmless for depthwise convolutions: they have a size of 1, for which any stride is right.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    device = resolve_device(settings.device)
    keep_compiled()
    if device == "cpu":
        keep_freed_memory()
        build_kernels()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    precision = resolve_precision(settings.precision, device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=processes // local,
        strategy="ddp" if processes > 1 else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric
