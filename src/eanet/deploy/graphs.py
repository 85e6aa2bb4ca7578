"""Graphs of OpenVINO, kept in the cache folder: opening one needs no PyTorch."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from eanet.deploy.openvino_library import load_openvino
from eanet.errors import EanetError
from eanet.files import cache_dir
from eanet.private_files import move_sealed, private_folder, read_sealed, seal
from eanet.version import __version__

if TYPE_CHECKING:
    from openvino import Model

KEPT = 32  # graphs; beyond that, the one that was made first is removed
GRAPH, WEIGHTS = "graph.xml", "graph.bin"


def kept_graph(digest: str) -> Model | None:
    """Return the graph of a model that was kept, if there is one.

    Args:
        digest: of the model's file: see `eanet.model_files.find.model_digest`.
    """
    openvino = load_openvino()

    with suppress(OSError, EanetError):
        folder = _folder() / _name(digest)
        graph, weights = read_sealed(folder / GRAPH), read_sealed(folder / WEIGHTS)
        return openvino.Core().read_model(graph, weights)
    return None


def keep_graph(graph: Model, digest: str) -> None:
    """Keep a graph for later processes, as `kept_graph` finds it; if it cannot be kept, do not."""
    openvino = load_openvino()

    with suppress(OSError, EanetError, RuntimeError):  # the last is OpenVINO's for a full disk
        folder = _folder()
        with TemporaryDirectory(dir=folder) as own:  # several processes may make it
            made = Path(own) / GRAPH
            openvino.save_model(graph, str(made), compress_to_fp16=False)
            place = folder / _name(digest)
            place.mkdir(mode=0o700, exist_ok=True)
            for file in (made.with_name(WEIGHTS), made):
                seal(file)
                move_sealed(file, place / file.name)
        graphs = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in graphs[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _folder() -> Path:
    return private_folder(cache_dir() / "graphs")


def _name(digest: str) -> str:
    """Name of the graph of a file, as converted by these versions."""
    openvino = load_openvino()

    made_by = repr((digest, __version__, openvino.__version__))
    return hashlib.sha256(made_by.encode()).hexdigest()[:32]
