"""Serving: the port is taken first, and opened when the model is ready to answer."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import EACCES, EADDRINUSE
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection as PipeEnd

import torch
from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import SIGNALS, Multiprocess

from eanet.console import notice, report
from eanet.deploy.server.connection import Connection
from eanet.deploy.server.settings import ServeSettings
from eanet.errors import EanetError, error_line
from eanet.interruption import when_interrupted

STOP_SECONDS = 30  # in which what is under way may finish
WORKER_SECONDS = 120  # in which a worker has to import what it needs and to answer its supervisor


def serve_app(make_app: Callable[[], FastAPI], settings: ServeSettings) -> None:
    """Serve an application until Ctrl-C or SIGTERM; requests under way are then finished.

    PyTorch's number of threads is afterwards as before.

    Args:
        make_app: makes it, ready to answer. If there are several workers, each calls it in a
            process of its own, so it has to be picklable.
        settings: address, workers and threads.

    Raises:
        EanetError: the address cannot be used, or a worker fails to start.
    """
    before = torch.get_num_threads()
    with bind(settings.host, settings.port) as listener:
        address = _address(settings.host, listener.getsockname()[1])
        torch.set_num_threads(settings.threads_each)
        try:
            app = make_app()  # also if only workers serve: what is wrong is said here, once
            if settings.workers == 1:
                _serve(app, listener, address)
            else:
                _supervise(make_app, listener, address, settings)
        finally:
            torch.set_num_threads(before)
    notice("stopped")


def _serve(app: FastAPI, listener: socket.socket, address: str) -> None:
    server = Server(_config(lambda: app, 1))
    _listen(listener, server.config.backlog)
    # When it has stopped, uvicorn sends itself the signal again, which is SIGTERM's end of this
    # process otherwise.
    with suppress(KeyboardInterrupt), when_interrupted(_interrupt):
        notice(f"serving at {address} (Ctrl-C stops)")
        server.run([listener])


def _interrupt() -> None:
    raise KeyboardInterrupt


def _supervise(
    make_app: Callable[[], FastAPI],
    listener: socket.socket,
    address: str,
    settings: ServeSettings,
) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ready, say_ready = Pipe(duplex=False)
    make = partial(_in_worker, make_app, settings.threads_each, say_ready)
    try:
        supervisor = _Supervisor(_config(make, settings.workers), [listener], ready)
        _listen(listener, supervisor.config.backlog)  # requests wait for the first worker
        notice(f"{settings.workers} workers at {address} (Ctrl-C stops)")
        supervisor.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if supervisor.has_failed:
        raise EanetError(
            "a worker failed to start, so the server has stopped; if no line above says why, "
            "memory may be short: try fewer --workers"
        )


class _Supervisor(Multiprocess):
    """Ends with all workers if one fails to start, since another try would fail likewise.

    uvicorn's waits `WORKER_SECONDS` for the answer of a worker that has ended while it started, and
    does not tell whether it ended by itself.

    Args:
        config: of the server.
        sockets: to serve.
        ready: brings a word of each worker that is ready to answer.

    Attributes:
        has_failed: whether a worker failed to start.
    """

    def __init__(self, config: Config, sockets: list[socket.socket], ready: PipeEnd) -> None:
        super().__init__(config, sockets)
        self.has_failed = False
        self._ready, self._starting = ready, self.processes_num

    def keep_subprocess_alive(self) -> None:
        if self.should_exit.is_set():  # as a signal asked
            return
        while self._starting and self._ready.poll():
            self._ready.recv()
            self._starting -= 1
        if not self._starting:
            super().keep_subprocess_alive()
        elif any(process.exitcode is not None for process in self.processes):
            self.should_exit.set()
        self.has_failed = self.should_exit.is_set()


def _in_worker(make_app: Callable[[], FastAPI], threads: int, ready: PipeEnd) -> FastAPI:
    torch.set_num_threads(threads)
    try:
        app = make_app()
    except Exception as error:
        report(str(error) if isinstance(error, EanetError) else error_line(error))
        sys.exit(STARTUP_FAILURE)  # which uvicorn does not try again
    ready.send(None)
    return app


def bind(host: str, port: int) -> socket.socket:
    """Take an address, at which nobody is answered yet.

    Raises:
        EanetError: it is in use, not allowed, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except socket.gaierror as error:
        raise EanetError(
            f"{host!r} is not an address of this machine ({error.strerror})"
        ) from error
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    return listener


def _listen(listener: socket.socket, backlog: int) -> None:
    """Open the port; of several that have taken it, only the first to do so can."""
    try:
        listener.listen(backlog)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> EanetError:
    reason = {
        EADDRINUSE: "another program is using it; choose another with --port, 0 for any",
        EACCES: "not allowed; ports from 1024 up are",
    }.get(error.errno or 0, error.strerror)
    return EanetError(f"cannot listen at {host}, port {port}: {reason}")


def _config(make_app: Callable[[], FastAPI], workers: int) -> Config:
    return Config(
        make_app,
        factory=True,
        workers=workers,
        http=Connection,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
