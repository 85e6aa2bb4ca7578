"""Processes of their own, forked from one that has imported PyTorch and the package already."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["eanet.training.launch", "eanet.training.resume", "eanet.data.datasets", "sklearn.datasets"]
)


def start(
    call: Callable[..., object],
    *arguments: object,
    log: Path,
    output: Path = Path(os.devnull),
    **environment: str,
) -> multiprocessing.process.BaseProcess:
    """Start a call in a process and a session of its own.

    Its standard output goes to ``output``, and what it says on standard error to ``log``.
    """
    process = CONTEXT.Process(target=_run, args=(call, arguments, output, log, environment))
    process.start()
    return process


def run_together(count: int, call: Callable[..., object], *arguments: object, logs: Path) -> None:
    """Run a call in so many processes as ``torchrun`` does; what they say goes below ``logs``."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        start_method="forkserver",  # that of `CONTEXT`, which has imported everything
        logs_specs=DefaultLogsSpecs(str(logs), redirects=Std.ALL),
    )
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    try:
        elastic_launch(config, call)(*arguments)
    finally:  # it leaves its own
        for number, handler in handlers.items():
            signal.signal(number, handler)


def result_of(call: Callable[..., T], *arguments: object) -> T:
    """What a call returns, or raises, in a process of its own."""
    with ProcessPoolExecutor(1, CONTEXT) as process:
        return process.submit(call, *arguments).result()


def _run(
    call: Callable[..., object],
    arguments: tuple[object, ...],
    output: Path,
    log: Path,
    environment: Mapping[str, str],
) -> None:
    import torch

    os.setsid()
    os.environ.update(environment)
    for stream, path in ((sys.stdout, output), (sys.stderr, log)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    torch.set_num_threads(1)
    call(*arguments)
