"""Over a real socket: slow clients are cut, Ctrl-C finishes what is under way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from eanet.deploy.server import connection, run
from eanet.deploy.server.run import _config, bind
from tests.support.servers import app, named, picture


@contextmanager
def serving(**settings: object) -> Iterator[int]:
    """A server in a thread; yields its port."""
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        server = uvicorn.Server(_config(lambda: app(**settings), 1))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def answer_to(port: int, *sent: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        for data in sent:
            client.sendall(data)
        try:
            while chunk := client.recv(2**16):
                received += chunk
        except ConnectionResetError:
            pass
    return received


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "HEAD_SECONDS", 0.5)
        patch.setattr(connection, "BODY_SECONDS", 0.3)
        patch.setattr(connection, "GRACE_SECONDS", 0.2)
        with serving(max_megabytes=1) as port:
            yield port


def test_files_are_answered(port: int) -> None:
    files = named(picture(), picture(1), b"text")
    answer = httpx.post(f"http://127.0.0.1:{port}/predict", files=files)
    assert answer.status_code == 200
    assert ["error" in result for result in answer.json()["results"]] == [False, False, True]


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", HEAD + b"X-Slow: ", HEAD + FORM + b"Content-Length: 9\r\n\r\n--x"],
    ids=["nothing", "half a line", "half the headers", "half the body"],
)
def test_a_client_that_stops_sending_is_cut(port: int, sent: bytes) -> None:
    assert b" 200 " not in answer_to(port, sent)


def test_a_second_request_that_stops_is_cut_as_well(port: int) -> None:
    health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    assert answer_to(port, health + b"\r\n", health).count(b" 200 OK") == 1


def test_what_is_too_large_is_refused_without_reading_it(port: int) -> None:
    sent = HEAD + FORM + b"Content-Length: 99999999999\r\n\r\n"
    assert b" 413 " in answer_to(port, sent)
    chunk = b"10000\r\n" + b"0" * 2**16 + b"\r\n"
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    first = b"%x\r\n%s\r\n" % (len(head), head)
    endless = HEAD + FORM + b"Transfer-Encoding: chunked\r\n\r\n" + first + chunk * 17
    assert b" 413 " in answer_to(port, endless)


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"\r\n" * 99])
def test_what_is_no_request_is_refused(port: int, sent: bytes) -> None:
    assert b" 200 " not in answer_to(port, sent)


def test_more_connections_than_are_taken_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 1)
    with serving() as port, socket.create_connection(("127.0.0.1", port)):
        assert answer_to(port) == b""


def send_without_reading(client: socket.socket, data: bytes) -> None:
    """Ends with an error when the server has closed the connection."""
    while True:
        client.sendall(data)


def test_a_client_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.1)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as port, socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_without_reading(client, request * 1000)


def test_a_server_that_stops_answers_whom_it_no_longer_waits_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "STOP_SECONDS", 0.1)
    half = HEAD + FORM + b"Content-Length: 9\r\n\r\n--x"
    with serving() as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(half)
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200  # it was read
    with client:
        assert b" 503 " in client.recv(2**16)
    assert not [record for record in caplog.records if record.exc_info]
