"""ONNX Runtime: what most programs run exported files with."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from eanet.deploy.prediction import Outputs
from eanet.deploy.runtime import Pixels, Precision, errors_of
from eanet.device import Device
from eanet.errors import WrongArgumentError
from eanet.model_files.config import ModelConfig
from eanet.threads import are_cores_free, available_cpus

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ERRORS = 3  # ONNX Runtime's level of messages


class OnnxRuntime:
    """A graph in ONNX Runtime on the CPU; see `eanet.deploy.runtime.Runtime`.

    A session of one thread computes in the calling thread. Another has all cores.

    Args:
        graph: the content of an ONNX file, from uint8 ``pixels`` (B, H, W, 3) to what
            `Outputs` has.
        config: of the model.
        metadata: as in `eanet.deploy.runtime.Runtime`.
        precision: ``fp32``; ONNX Runtime has no other on CPUs.
        threads: the number of cores to compute on; by default all that this process may use.

    Raises:
        EanetError: another precision.
    """

    name = "onnxruntime"
    device: Device = "cpu"

    def __init__(
        self,
        graph: bytes,
        config: ModelConfig,
        metadata: Mapping[str, Any],
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> None:
        if precision != "fp32":
            raise WrongArgumentError(
                f"ONNX Runtime computes in fp32 on a CPU, not in {precision}; use another runtime"
            )
        self.config, self.metadata = config, metadata
        self.precision: Precision = precision
        self.threads = threads or available_cpus()
        self._graph = graph
        self._sessions: dict[int, InferenceSession] = {}
        self._lock = Lock()

    def __call__(self, pixels: Pixels) -> Outputs:
        """See `eanet.deploy.runtime.Runtime`."""
        return self._run(pixels, self.threads if are_cores_free(self.threads) else 1)

    def on_one_core(self, pixels: Pixels) -> Outputs:
        """See `eanet.deploy.runtime.Runtime`."""
        return self._run(pixels, 1)

    def _run(self, pixels: Pixels, threads: int) -> Outputs:
        with errors_of("ONNX Runtime"):
            session = self._session(threads)
            known = {output.name for output in session.get_outputs()}
            names = [name for name in Outputs._fields if name in known]
            return Outputs(**dict(zip(names, session.run(names, {"pixels": pixels}), strict=True)))

    def _session(self, threads: int) -> InferenceSession:
        with self._lock:
            if threads not in self._sessions:
                self._sessions[threads] = self._open(threads)
            return self._sessions[threads]

    def _open(self, threads: int) -> InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that wait for work give up their core, which other programs may want.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for name in ("height", "width"):  # what depends on it is computed once
            options.add_free_dimension_override_by_name(name, self.config.image_size)
        return onnxruntime.InferenceSession(
            self._graph, options, providers=["CPUExecutionProvider"]
        )
