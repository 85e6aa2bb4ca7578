"""Processes of their own, forked from one that has imported PyTorch and the package already."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["eanet.training.launch", "eanet.training.resume", "eanet.data.datasets", "sklearn.datasets"]
)


def start(
    call: Callable[..., object], *arguments: object, log: Path, **environment: str
) -> multiprocessing.process.BaseProcess:
    """Start a call of a function in a module; what it says on standard error goes to ``log``."""
    process = CONTEXT.Process(target=_run, args=(call, arguments, log, environment))
    process.start()
    return process


def _run(
    call: Callable[..., object],
    arguments: tuple[object, ...],
    log: Path,
    environment: Mapping[str, str],
) -> None:
    import torch

    os.environ.update(environment)
    for stream, path in ((sys.stdout, os.devnull), (sys.stderr, log)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    torch.set_num_threads(1)
    call(*arguments)
