"""OpenVINO: the fastest on processors for most models.

A graph is compiled for a number of threads, and for a fixed batch it is faster than for any. So
there are up to three: for batches, with one stream of one thread for each core; for one image on
all cores; and for one image on one core, beside other programs. Each is compiled when it is first
needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from eanet.console import notice_once
from eanet.deploy.openvino_library import load_openvino
from eanet.deploy.prediction import Outputs
from eanet.deploy.runtime import Pixels, Precision, errors_of
from eanet.deploy.signal_stack import signal_stack_kept
from eanet.device import Device
from eanet.model_files.config import ModelConfig
from eanet.threads import are_cores_free, available_cpus

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest, Model

ANY = -1  # images in a batch
HINTS = {"fp32": "f32", "bf16": "bf16"}  # by itself, OpenVINO computes in bf16 where it can


class OpenVinoRuntime:
    """A graph in OpenVINO on the CPU; see `eanet.deploy.runtime.Runtime`.

    Args:
        graph: from uint8 ``pixels`` (B, H, W, 3) to what `Outputs` has; its input is fixed to the
            size of the model's images.
        config: of the model.
        metadata: as in `eanet.deploy.runtime.Runtime`.
        precision: ``bf16`` becomes ``fp32``, and says so, if the processor does not have it.
        threads: the number of cores to compute on; by default all that this process may use.
    """

    name = "openvino"
    device: Device = "cpu"

    def __init__(
        self,
        graph: Model,
        config: ModelConfig,
        metadata: Mapping[str, Any],
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> None:
        if precision == "bf16" and not computes_bf16():
            notice_once("this processor has no bf16: OpenVINO computes in fp32")
            precision = "fp32"
        self.config, self.metadata = config, metadata
        self.precision: Precision = precision
        self.threads = threads or available_cpus()
        self._graph = graph
        self._graphs: dict[tuple[int, int], _Compiled] = {}
        self._lock = Lock()

    def __call__(self, pixels: Pixels) -> Outputs:
        """See `eanet.deploy.runtime.Runtime`."""
        cores = self.threads if are_cores_free(self.threads) else 1
        with errors_of("OpenVINO"):
            if len(pixels) == 1:
                return self._compiled(1, cores)(pixels)
            return self._compiled(ANY, self.threads)(pixels, parts=cores)

    def on_one_core(self, pixels: Pixels) -> Outputs:
        """See `eanet.deploy.runtime.Runtime`."""
        with errors_of("OpenVINO"):
            return self._compiled(ANY, self.threads)(pixels)

    def _compiled(self, batch: int, threads: int) -> _Compiled:
        with self._lock:
            if (batch, threads) not in self._graphs:
                self._graphs[batch, threads] = _Compiled(self._compile(batch, threads))
            return self._graphs[batch, threads]

    def _compile(self, batch: int, threads: int) -> CompiledModel:
        openvino = load_openvino()

        size = self.config.image_size
        graph = self._graph.clone()
        graph.reshape([batch, size, size, 3])
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads if batch == ANY else 1,
            "ENABLE_CPU_PINNING": False,  # other programs may keep that very core busy
        }
        with signal_stack_kept():
            return openvino.Core().compile_model(graph, "CPU", settings)


class _Compiled:
    """A compiled graph, and requests that nobody is using; threads may call it at a time."""

    def __init__(self, graph: CompiledModel) -> None:
        self._graph = graph
        known = {name for output in graph.outputs for name in output.names}
        self._names = [name for name in Outputs._fields if name in known]
        self._idle: deque[InferRequest] = deque()

    def __call__(self, pixels: Pixels, parts: int = 1) -> Outputs:
        """Compute a batch in one or more parts at the same time."""
        if parts == 1:
            request, _tensor = self._request(pixels)
            request.infer(share_outputs=True)  # a graph of one stream: in this very thread
            return self._outputs(request)
        begun = [self._request(part) for part in np.array_split(pixels, min(parts, len(pixels)))]
        for request, _ in begun:
            request.start_async()
        done = []
        for request, _ in begun:
            request.wait()
            done.append(self._outputs(request))
        return Outputs.joined(done)

    def _request(self, pixels: Pixels) -> tuple[InferRequest, Any]:
        """Return a request for these images, and their tensor, which is to live as long."""
        openvino = load_openvino()

        try:
            request = self._idle.pop()
        except IndexError:
            request = self._graph.create_infer_request()
        tensor = openvino.Tensor(np.ascontiguousarray(pixels), shared_memory=True)
        request.set_input_tensor(tensor)
        return request, tensor

    def _outputs(self, request: InferRequest) -> Outputs:
        """Return what a request has computed, and keep the request for others."""
        outputs = {name: request.get_tensor(name).data.copy() for name in self._names}
        self._idle.append(request)
        return Outputs(**outputs)


def computes_bf16() -> bool:
    """Whether OpenVINO finds a processor that computes in bfloat16 itself."""
    openvino = load_openvino()

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
