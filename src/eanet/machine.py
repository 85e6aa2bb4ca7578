"""What to compute with: settings shared by training, benchmark and prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eanet.settings import Settings


class MachineSettings(Settings):
    """Device, precision, compilation, threads: how fast an answer comes, not what it is."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware has it"
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: compile if the run is long enough"
    )
    threads: int | None = Field(None, ge=1, description="of the processor; unset: all cores")
