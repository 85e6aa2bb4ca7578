from __future__ import annotations

import hashlib
import io
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from eanet.data import download as module
from eanet.data.download import download
from eanet.errors import EanetError
from eanet.files import lock_folder
from tests.support.screen import Screen

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; can ignore ranges, cut connections midway and answer with errors."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = True
        self.cuts = []  # bytes after which the next connections end
        self.errors = []  # status codes of the next answers
        self.asked = []  # the Range header of every request
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if server.errors:
            return self.send_error(server.errors.pop(0))
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if start >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[start:]
        self.send_response(206 if wanted and server.ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF_S", 0.001)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "sub" / "file.bin"


def files(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_and_nothing_else_is_left(server, target):
    assert download(server.url, target, SHA256) == target
    assert target.read_bytes() == CONTENT
    assert files(target) == ["file.bin"]


def test_a_terminal_shows_the_size_and_the_name(server, target, monkeypatch):
    terminal = Console(file=Screen(), force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr("eanet.console.console", terminal)
    download(server.url, target, SHA256)
    shown = terminal.file.getvalue()
    assert "file.bin" in shown
    assert "300.0/300.0 kB" in shown


def test_a_cut_connection_is_taken_up_where_it_broke(server, target, capsys):
    server.cuts = [100_000, 50_000]
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert "connection lost after 100,000 of 300,000 bytes" in capsys.readouterr().err


def test_what_an_earlier_call_left_is_gone_on_with(server, target):
    server.cuts = [10_000] * module.ATTEMPTS
    with pytest.raises(EanetError, match="connection lost"):
        download(server.url, target, SHA256)
    assert files(target) == ["file.bin.part"]
    download(server.url, target, SHA256)
    assert server.asked[-1] == f"bytes={10_000 * module.ATTEMPTS}-"
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server, target):
    server.ranges, server.cuts = False, [100_000]
    download(server.url, target, SHA256)
    assert len(server.asked) == 2
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("part", "requests"), [(CONTENT, 1), (b"x" * 400_000, 2)])
def test_a_part_beyond_the_end_is_verified_or_fetched_anew(server, target, part, requests):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(part)
    download(server.url, target, SHA256)
    assert len(server.asked) == requests
    assert target.read_bytes() == CONTENT


def test_what_another_process_downloads_is_waited_for_and_taken(server, target, monkeypatch):
    waits = threading.Event()

    def wait_for_lock(folder, *, wait):
        waits.set()
        return lock_folder(folder, wait=wait)

    monkeypatch.setattr(module, "lock_folder", wait_for_lock)
    target.parent.mkdir()
    caller = threading.Thread(target=download, args=(server.url, target, SHA256))
    with lock_folder(target.parent):
        caller.start()
        assert waits.wait(60)
        target.write_bytes(CONTENT)
    caller.join()
    assert server.asked == []
    assert target.read_bytes() == CONTENT
    assert files(target) == ["file.bin"]


def test_a_wrong_checksum_deletes_what_arrived_and_keeps_the_old_file(server, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(EanetError, match="expected SHA-256 0000"):
        download(server.url, target, "0" * 64)
    assert files(target) == ["file.bin"]
    assert target.read_bytes() == b"old"


def test_a_missing_file_fails_at_once_and_says_where_to_place_it(server, target):
    server.errors = [404]
    with pytest.raises(EanetError, match="HTTP 404") as caught:
        download(server.url, target, SHA256)
    assert len(server.asked) == 1
    assert f"place the file at {target}" in str(caught.value)
    assert "--data-dir" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(target) == []


def test_a_server_in_trouble_is_asked_again(server, target):
    server.errors = [503, 429, 500]
    download(server.url, target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_server_that_refuses_any_range_fails_at_once(server, target):
    server.errors = [416] * 9
    with pytest.raises(EanetError, match="HTTP 416"):
        download(server.url, target, SHA256)
    assert len(server.asked) == 1


def test_without_a_network_the_message_says_what_to_do(server, target):
    server.shutdown()
    server.server_close()
    with pytest.raises(EanetError, match=r"Connection refused.*place the file at"):
        download(server.url, target, SHA256)


def test_a_full_disk_is_said_and_not_tried_again(server, target, monkeypatch):
    class FullDisk(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_: FullDisk())
    with pytest.raises(EanetError, match=r"No space left on device.*--data-dir"):
        download(server.url, target, SHA256)
    assert len(server.asked) == 1


def test_a_folder_that_cannot_be_made_is_said(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EanetError, match="cannot write"):
        download(server.url, tmp_path / "file" / "x" / "y.bin", SHA256)
