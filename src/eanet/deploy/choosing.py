"""Which library computes a model: the one asked for, or the fastest that is installed and able.

What needs PyTorch is imported where a model turns out to need it: importing it takes longer than
classifying many an image.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from eanet.deploy.graphs import keep_graph, kept_graph
from eanet.deploy.onnx_runtime import OnnxRuntime
from eanet.deploy.openvino_library import load_openvino
from eanet.deploy.openvino_runtime import OpenVinoRuntime, computes_bf16
from eanet.deploy.runtime import Precision, Runtime, RuntimeName, check_precision, errors_of
from eanet.device import resolve_device
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.model_files.config import check_rgb
from eanet.model_files.exported import ExportedModel, is_exported, read_exported
from eanet.model_files.find import find_model, model_digest
from eanet.model_files.metadata import parse_config
from eanet.model_files.weights_file import read_metadata

if TYPE_CHECKING:
    from openvino import Model

PACKAGES = ("openvino", "onnxruntime")

# Measured by `python -m benchmarks.runtimes`; docs/performance.md has the figures.
FEW = 1_000  # images for which a start without PyTorch saves more than another device does
WORTH_CONVERTING = 5_000  # images for which OpenVINO earns the conversion of a model
FASTER_IN_TORCH = {"keras_eanet"}  # in batches, thanks to the kernels of this package


def open_runtime(
    where: str | Path,
    runtime: RuntimeName = "auto",
    device: str = "auto",
    precision: Precision = "fp32",
    *,
    threads: int | None = None,
    images: int | None = None,
) -> Runtime:
    """Open a model with a library to compute it.

    Args:
        where: a run directory, a model file, an exported file, a bundled model or a Hub id.
        runtime: the library. ``auto``: for exported files, OpenVINO if it is installed, else ONNX
            Runtime; for other models, OpenVINO if it is installed and worth its start, else
            PyTorch.
        device: where to compute; only PyTorch has others than the CPU.
        precision: ``fp32`` or ``bf16``.
        threads: the number of cores to compute on; None: PyTorch's own number, or all.
        images: how many there will be, if that is known and they are all.

    Raises:
        EanetError: there is no such model, device, precision or library, or the library cannot
            compute the model.
    """
    if runtime not in get_args(RuntimeName):
        raise unknown_name("runtime", runtime, get_args(RuntimeName))
    check_precision(precision)
    device = str(device)  # a torch.device, too
    if runtime in PACKAGES:
        check_installed(runtime)
        _check_cpu(f"{runtime} computes", device)
    if is_exported(where):
        return _open_exported(read_exported(where), runtime, device, precision, threads)
    if runtime == "openvino":
        return _in_openvino(where, precision, threads)
    if runtime == "onnxruntime":
        return _in_onnxruntime(where, precision, threads)
    if runtime == "auto" and device in ("auto", "cpu") and find_spec("openvino"):
        with suppress(EanetError):  # that it cannot convert the model
            if _is_worth_it(where, device, precision, images):
                return _in_openvino(where, precision, threads)
    return _in_torch(where, device, precision)


def check_installed(runtime: str) -> None:
    """Raise an `EanetError` if the package of a runtime is missing."""
    if find_spec(runtime) is None:
        raise EanetError(f"the package {runtime} is missing: pip install {runtime}")


def _check_cpu(what: str, device: str) -> None:
    if device not in ("auto", "cpu"):
        raise WrongArgumentError(f"{what} on the CPU here, not on {device}")


def _is_worth_it(where: str | Path, device: str, precision: Precision, images: int | None) -> bool:
    """Whether OpenVINO is the better choice than PyTorch."""
    if precision == "bf16" and not computes_bf16():
        return False
    is_few = images is not None and images < FEW
    if not is_few and resolve_device(device) != "cpu":
        return False
    if images is None:  # a program may go on for long
        return True
    path = find_model(where)
    if not is_few and read_metadata(path)["name"] in FASTER_IN_TORCH:
        return False
    return images >= WORTH_CONVERTING or kept_graph(model_digest(path)) is not None


def _in_openvino(where: str | Path, precision: Precision, threads: int | None) -> Runtime:
    path = find_model(where)
    metadata, digest = read_metadata(path), model_digest(path)
    config = parse_config(metadata, str(path))
    check_rgb(config)
    graph = kept_graph(digest) or _convert(path, digest)
    return OpenVinoRuntime(graph, config, metadata, precision, threads)


def _convert(path: Path, digest: str) -> Model:
    from eanet.deploy.conversion import make_graph
    from eanet.models import load_model

    graph = make_graph(load_model(path))
    keep_graph(graph, digest)
    return kept_graph(digest) or graph  # whose last bits are those of every later time


def _in_onnxruntime(where: str | Path, precision: Precision, threads: int | None) -> Runtime:
    from eanet.deploy.conversion import in_runtime
    from eanet.models import load_model

    return in_runtime(load_model(where), "onnxruntime", precision, threads)


def _in_torch(where: str | Path, device: str, precision: Precision) -> Runtime:
    from eanet.deploy.torch_runtime import TorchRuntime
    from eanet.models import load_model

    return TorchRuntime(load_model(where), device, precision)


def _open_exported(
    file: ExportedModel,
    runtime: RuntimeName,
    device: str,
    precision: Precision,
    threads: int | None,
) -> Runtime:
    if runtime == "torch":
        raise WrongArgumentError(
            "an exported file is computed by openvino or onnxruntime; PyTorch takes the run it is "
            "from"
        )
    _check_cpu("an exported file is computed", device)
    if runtime != "onnxruntime" and find_spec("openvino"):  # the faster
        openvino = load_openvino()
        with errors_of("OpenVINO"):
            graph = openvino.Core().read_model(file.content)
        return OpenVinoRuntime(graph, file.config, file.metadata, precision, threads)
    check_installed("onnxruntime")
    return OnnxRuntime(file.content, file.config, file.metadata, precision, threads)
