"""An address that is taken, and a server that is stopped."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from fastapi.testclient import TestClient
from uvicorn import Config
from uvicorn.supervisors import multiprocess

import eanet
from eanet.deploy import server
from eanet.deploy.server import run as module
from eanet.deploy.server.app import create_app
from eanet.deploy.server.run import bind, serve_app
from eanet.deploy.server.settings import AppSettings, ServeSettings
from eanet.errors import EanetError, WrongArgumentError
from tests.support.servers import named, picture, predictor


def test_an_address_that_is_taken_is_one_line() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EanetError, match=rf"port {port}: another program .*--port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_address_that_another_takes_while_the_model_is_loaded_is_one_line(workers: int) -> None:
    with bind("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        settings = ServeSettings(port=port, workers=workers)
        with pytest.raises(EanetError, match=rf"port {port}: another program .*--port"):
            serve_app(other.listen, settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine_is_one_line(host: str) -> None:
    with pytest.raises(EanetError, match=r"is not an address of this machine|cannot listen at"):
        bind(host, 0)


def test_nobody_is_answered_before_the_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]

    def make_app() -> object:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/health")
        raise EanetError("no such run")

    monkeypatch.setattr(module, "notice", seen.append)
    with pytest.raises(EanetError, match="no such run"):
        serve_app(make_app, ServeSettings(port=port))  # type: ignore[arg-type]
    assert seen == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_under_way(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    drawing, stopped = threading.Event(), threading.Event()
    answers: list[Future[httpx.Response]] = []
    clients = ThreadPoolExecutor(1)

    def explain(*_: object) -> bytes:
        drawing.set()
        assert stopped.wait(60)
        return b"picture"

    def notice(line: str) -> None:
        said.append(line)
        if "serving at " in line:
            where = line.split()[2]
            file = named(picture(), field="file")
            answers.append(clients.submit(httpx.post, f"{where}/explain", files=file, timeout=60))
            threading.Thread(target=interrupt).start()

    def interrupt() -> None:
        assert drawing.wait(60)
        os.kill(os.getpid(), number)
        stopped.set()

    monkeypatch.setattr(module, "notice", notice)
    before = torch.get_num_threads()
    app = create_app(predictor(), AppSettings(), explain=explain)
    serve_app(lambda: app, ServeSettings(port=0, threads=3))
    assert answers[0].result().content == b"picture"
    assert said[-1] == "stopped"
    assert torch.get_num_threads() == before
    clients.shutdown()


class FakeWorker:
    """Starts where it is made, as a worker does in a process of its own."""

    def __init__(self, config: Config, sockets: object) -> None:
        self._make, self.exitcode, self.pid = config.app, None, 0

    def start(self) -> None:
        try:
            self._make()
        except SystemExit as stop:
            self.exitcode = stop.code

    def is_alive(self, timeout: float) -> bool:
        """Is asked while all are alive, and interrupts the server."""
        assert self.exitcode is None, "uvicorn would wait for its answer"
        os.kill(os.getpid(), signal.SIGINT)
        return True

    def terminate(self) -> None:
        pass

    join = kill = terminate


@pytest.mark.parametrize("ready", [0, 1])
@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (EanetError("no such run"), "eanet: error: no such run\n"),
        (MemoryError("all is taken"), "eanet: error: MemoryError: all is taken\n"),
        (SystemExit(-9), ""),  # killed for want of memory
    ],
    ids=["wrong", "unexpected", "killed"],
)
def test_if_a_worker_fails_to_start_the_server_has_failed(
    failure: BaseException,
    line: str,
    ready: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made: list[None] = []

    def make_app() -> object:
        made.append(None)
        if len(made) > 1 + ready:  # the first is made by the server itself
            raise failure
        return object()

    monkeypatch.setattr(multiprocess, "Process", FakeWorker)
    with pytest.raises(EanetError, match="a worker failed to start"):
        serve_app(make_app, ServeSettings(port=0, workers=2))  # type: ignore[arg-type]
    told = capsys.readouterr().err.partition("(Ctrl-C stops)\n")[2]
    assert told == line * (2 - ready)


def test_the_port_is_open_when_the_address_of_workers_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def notice(line: str) -> None:
        if "workers at " in line:
            host, port = line.split("//")[1].split()[0].split(":")
            socket.create_connection((host, int(port)), timeout=5).close()
            tried.append(line)

    monkeypatch.setattr(multiprocess, "Process", FakeWorker)
    monkeypatch.setattr(module, "notice", notice)
    serve_app(object, ServeSettings(port=0, workers=2))  # type: ignore[arg-type]
    assert len(tried) == 1


def test_workers_that_are_ready_serve_until_they_are_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(multiprocess, "Process", FakeWorker)
    serve_app(object, ServeSettings(port=0, workers=2))  # type: ignore[arg-type]
    assert capsys.readouterr().err.endswith("(Ctrl-C stops)\nstopped\n")


def test_what_is_wrong_is_one_line_before_anything_is_served(
    refused: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused("serve", tmp_path / "none", "--port", "0")[1].startswith("no such run or model")
    assert refused("serve", tmp_path, "--port", "70000") == (
        2,
        "port=70000: should be less than or equal to 65535",
    )
    monkeypatch.setitem(server._NEEDED, "no_such_module", "FastAPI")
    assert refused("serve", tmp_path) == (1, "serving needs FastAPI: pip install fastapi")


def test_an_application_is_made_of_a_run_with_its_figures(trained: eanet.TrainingResult) -> None:
    app = eanet.create_app(trained.path, threshold=0.25)
    client = TestClient(app, base_url="http://localhost")
    card = client.get("/model").json()
    assert card["classes"] == ["blue", "green", "red"]
    assert card["threshold"] == 0.25
    assert card["metrics"]["top1"] == trained.metrics["top1"]
    assert str(trained.path) not in client.get("/model").text
    picture_of = client.post("/explain", files=named(picture(), field="file"))
    assert picture_of.content.startswith(b"\x89PNG")
    with pytest.raises(EanetError, match="did you mean 'threshold'"):
        eanet.create_app(eanet.load(trained.path), treshold=0.5)


@pytest.mark.parametrize("given", [{"runtime": "openvino"}, {"device": "cpu", "precision": "bf16"}])
def test_a_loaded_model_is_served_as_it_was_loaded_or_not_at_all(
    given: dict[str, Any], trained: eanet.TrainingResult
) -> None:
    loaded = eanet.load(trained.path, runtime="torch")
    assert eanet.create_app(loaded, threshold=0.5).title
    with pytest.raises(
        WrongArgumentError, match=f"its {', '.join(given)}: give that to eanet.load"
    ):
        eanet.create_app(loaded, **given)


@pytest.mark.parametrize(("workers", "threads", "each"), [(1, 3, 3), (2, 5, 2), (4, 2, 1)])
def test_workers_share_the_threads(workers: int, threads: int, each: int) -> None:
    assert ServeSettings(workers=workers, threads=threads).threads_each == each


def test_the_first_line_comes_before_the_model_is_loaded_and_its_threads_are_those_asked_for(
    trained: eanet.TrainingResult,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[int | None] = []

    def make(*_: object, threads: int | None, **__: object) -> None:
        assert capsys.readouterr().err == f"loading {trained.path}; the address follows\n"
        asked.append(threads)
        raise EanetError("enough")

    monkeypatch.setattr("eanet.deploy.choosing.open_runtime", make)
    with pytest.raises(EanetError, match="enough"):
        eanet.serve(trained.path, port=0, threads=6, workers=2)
    assert asked == [3]
