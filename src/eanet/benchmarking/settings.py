"""Benchmark settings, declared once for both the command line and the Python API."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from eanet.config import MachineSettings, TrainSettings


class BenchmarkSettings(MachineSettings):
    """Settings of a benchmark."""

    image_size: int = Field(32, ge=1, description="side of the images in pixels")
    batch_size: int = Field(128, ge=1, description="images per step")
    dim: int = Field(64, ge=4, multiple_of=4, description="width of the tokens, with --tokens only")
    seconds: float = Field(3.0, gt=0, description="time for each figure, warm-up excluded")
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: models if a compiler is found, layers never"
    )
    runtimes: bool = Field(
        True, description="measure prediction in OpenVINO and ONNX Runtime too, where installed"
    )
    output: Path | None = Field(
        None, description="folder for the figures as CSV and JSON and the picture; unset: none"
    )


def resolve_benchmark(settings: BenchmarkSettings, *, single_layers: bool) -> BenchmarkSettings:
    """Return the settings with every automatic choice made.

    Raises:
        EanetError: the requested device or compiler is not available.
    """
    from eanet.device import Machine  # here, so that `eanet --help` need not wait for torch
    from eanet.threads import OtherLoad, resolve_threads
    from eanet.training.plan import resolve_compile, resolve_precision

    machine = Machine.here(settings.device)
    ahead = 0.0 if single_layers else float("inf")  # operations: models are always worth compiling
    compiled, _ = resolve_compile(TrainSettings(compile=settings.compile), ahead, machine)
    return settings.model_copy(
        update={
            "device": machine.device,
            "precision": resolve_precision(settings.precision, machine),
            "compile": "on" if compiled else "off",
            "threads": resolve_threads(settings.threads, OtherLoad()),
        }
    )
