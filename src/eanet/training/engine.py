"""The engine of a run: the process's environment, and Fabric with device, precision, processes."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision

from eanet.config import MachineSettings
from eanet.device import (
    COMPILED_CODE,
    Machine,
    freed_memory_kept,
    keep_compiled,
    keep_freed_memory,
    warn_of_emulation,
)
from eanet.models import Classifier
from eanet.models.operations import multiply_adds
from eanet.ops.kernels import build_kernels
from eanet.process import process_counts
from eanet.threads import OtherLoad, resolve_threads
from eanet.training.plan import resolve_precision
from eanet.training.teacher import Teacher

LOGGER = logging.getLogger("lightning_fabric")


def configure_process(threads: int | None = None) -> None:
    """Set up a process that only computes: threads, memory, place of compiled code, logging.

    Args:
        threads: of PyTorch; None: unchanged.
    """
    LOGGER.setLevel(logging.WARNING)  # our notices already say what Fabric would log
    keep_compiled()
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)


@contextmanager
def compute_environment(settings: MachineSettings) -> Iterator[None]:
    """`configure_process` for the duration of the block, in a process that does other things too.

    Afterwards PyTorch's random generators (CPU and CUDA) and number of threads, warning filters,
    logging and environment variables are as before. What the C library does with freed memory
    cannot be read; it goes back to glibc's defaults. Within it, PyTorch's defaults are its own,
    whatever that process has set.
    """
    threads, level, folder = torch.get_num_threads(), LOGGER.level, os.environ.get(COMPILED_CODE)
    # Seeds are set on all devices; to ask a GPU that nobody uses would only make it start.
    in_use = settings.device in ("auto", "cuda") or torch.cuda.is_initialized()
    on_cuda = in_use and torch.cuda.is_available()
    cuda = range(torch.cuda.device_count()) if on_cuda else ()
    with (
        torch.random.fork_rng(cuda),
        warnings.catch_warnings(),
        freed_memory_kept(),
        _own_defaults(),
    ):
        try:
            configure_process(settings.threads)
            yield
        finally:
            torch.set_num_threads(threads)
            LOGGER.setLevel(level)
            os.environ.pop(COMPILED_CODE, None)
            if folder is not None:
                os.environ[COMPILED_CODE] = folder


@contextmanager
def _own_defaults() -> Iterator[None]:
    """Compute gradients, in float32 and on the CPU where nothing else is said."""
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":  # a mode that each call passes through
            stack.enter_context(torch.device("cpu"))
        stack.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(torch.float32)
        yield


def use_threads(asked: int | None, load: OtherLoad, fabric: Fabric) -> int:
    """Set the number of PyTorch's threads as `resolve_threads` does, and return it.

    Processes that train together keep theirs: for each, the others would be other programs.
    """
    if fabric.world_size == 1:
        torch.set_num_threads(resolve_threads(asked, load))
    return torch.get_num_threads()


def create_fabric(settings: MachineSettings) -> Fabric:
    """Create the engine of a run: one process, or as many as ``torchrun`` has started.

    Raises:
        EanetError: the requested device is not available, or variables of ``torchrun`` are wrong.
    """
    machine = Machine.here(settings.device)
    precision = resolve_precision(settings.precision, machine)
    warn_of_emulation(precision, machine.device)
    processes, local = process_counts()
    fabric = Fabric(
        accelerator=machine.device,
        devices=local,
        num_nodes=processes // local,
        strategy="ddp" if processes > 1 else "auto",
        plugins=_Autocast("bf16-mixed", machine.device) if precision == "bf16" else Precision(),
    )
    fabric.launch()
    if machine.device == "cpu":
        build_kernels()
    return fabric


class _Autocast(MixedPrecision):
    """Autocast alone: Fabric's own also rounds what a step is given, and so its random draws."""

    def convert_input(self, data: Any) -> Any:
        """Leave the images, labels and draws of a step as they are."""
        return data


def training_operations(model: Classifier, images: int, teacher: Teacher | None = None) -> float:
    """Floating-point operations of training on ``images`` images.

    A multiply-add counts as two operations, and a backward pass as two forward passes. A teacher
    has only a forward pass, and so has what is frozen from the first layer on.
    """
    passes = 3 if any(p.requires_grad for p in model.embedding.parameters()) else 1
    taught = 0 if teacher is None else 2.0 * multiply_adds(teacher.model)
    return (2.0 * passes * multiply_adds(model) / model.views + taught) * images
