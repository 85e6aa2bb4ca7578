"""The settings of a server, and what it takes before it declines."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eanet.settings import Settings

MEBIBYTE = 2**20


class Limits(Settings):
    """Whoever exceeds one of them is answered with one sentence."""

    max_files: int = Field(32, ge=1, description="images in one request")
    max_megabytes: int = Field(32, ge=1, description="size of one request in MiB")
    max_megapixels: int = Field(50, ge=1, description="size of one image in millions of pixels")
    max_waiting: int = Field(256, ge=1, description="requests that wait for an answer")

    @property
    def request_bytes(self) -> int:
        """Bytes of one request."""
        return self.max_megabytes * MEBIBYTE

    @property
    def memory_bytes(self) -> int:
        """Bytes of all requests that are not answered yet: room for several large ones."""
        return max(512 * MEBIBYTE, 4 * self.request_bytes)

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return self.max_megapixels * 1_000_000


class AppSettings(Limits):
    """How an application answers."""

    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="below this probability, an answer counts as not sure; unset: halfway between "
        "guessing and certainty, which is 0.75 for two classes and 0.505 for 100",
    )
    allow_host: tuple[str, ...] = Field(
        (), description="name to answer to, beside localhost, --host and addresses in numbers"
    )
    allow_origin: tuple[str, ...] = Field(
        (), description="other site whose pages may send images, such as https://example.org"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="fp32: as in evaluation; bf16: faster where supported, probabilities differ by "
        "up to 0.01",
    )
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = Field(
        "auto", description="library to compute with; auto: the fastest that is installed"
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names to answer to."""
        return self.allow_host

    @property
    def threads_each(self) -> int | None:
        """Cores that a process computes on; None: as many as there are."""
        return None


class ServeSettings(AppSettings):
    """Where and by how many processes an application is served."""

    host: str = Field("127.0.0.1", description="address to listen at; 0.0.0.0: all")
    port: int = Field(8000, ge=0, le=65535, description="0: any free one")
    workers: int = Field(1, ge=1, description="processes, each with a share of the threads")
    threads: int | None = Field(
        None, ge=1, description="of all workers; unset: one for each CPU that may be used"
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names to answer to."""
        return (*self.allow_host, self.host)

    @property
    def threads_each(self) -> int:
        """Cores that each worker computes on."""
        from eanet.threads import available_cpus  # here, so that `eanet --help` need not wait

        return max(1, (self.threads or available_cpus()) // self.workers)


class RefusedError(Exception):
    """A request that is declined.

    Attributes:
        status: of the answer.
        reason: one sentence for whoever sent it.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
