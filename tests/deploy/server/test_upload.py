"""Forms that are too large, too many, too slow or malformed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from fastapi import Request

from eanet.deploy.server import upload
from eanet.deploy.server.settings import Limits, RefusedError
from eanet.deploy.server.upload import Upload, Uploads

MIB = 2**20
HEAD = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
END = b"\r\n--x--\r\n"


def part(body: bytes, name: str = "files", file: str | None = "a.png") -> bytes:
    shown = "" if file is None else f'; filename="{file}"'
    head = f'--x\r\ncontent-disposition: form-data; name="{name}"{shown}\r\n\r\n'
    return head.encode() + body + b"\r\n"


def read(
    *chunks: bytes | Callable[[], Awaitable[bytes]],
    length: int | None = None,
    kind: str = "multipart/form-data; boundary=x",
    most: int = 3,
    uploads: Uploads | None = None,
) -> list[Upload]:
    """Read a request whose body arrives in these chunks."""
    pending = list(chunks)

    async def receive() -> dict[str, object]:
        chunk = pending.pop(0)
        body = chunk if isinstance(chunk, bytes) else await chunk()
        return {"type": "http.request", "body": body, "more_body": bool(pending)}

    headers = [(b"content-type", kind.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {"type": "http", "method": "POST", "headers": headers}

    async def run() -> list[Upload]:
        source = uploads or Uploads(Limits(max_megabytes=1))
        async with source.read(Request(scope, receive), "files", most) as files:
            return files

    return asyncio.run(run())


def refusal(*chunks: bytes | Callable[[], Awaitable[bytes]], **options: object) -> tuple[int, str]:
    with pytest.raises(RefusedError) as error:
        read(*chunks, **options)  # type: ignore[arg-type]
    return error.value.status, error.value.reason


def test_files_are_read_with_their_names_however_they_are_cut() -> None:
    body = part(b"one") + part(b"two\r\n--", file="b") + b"--x--\r\n"
    expected = [Upload("a.png", b"one"), Upload("b", b"two\r\n--")]
    assert read(body) == expected
    assert read(*(body[i : i + 1] for i in range(len(body)))) == expected


def test_a_length_that_is_too_large_is_refused_before_anything_is_read() -> None:
    assert refusal(length=2 * MIB) == (
        413,
        "The files are too large together: 1 MiB are taken at once.",
    )


def test_a_body_without_a_length_or_a_lying_one_is_cut_where_it_is_too_large() -> None:
    chunks = [HEAD, *[b"0" * 2**16] * 15, b"0" * 2**16, b"never"]
    for length in (None, 10):
        assert refusal(*chunks, length=length)[0] == 413


def test_too_many_files_and_other_fields_are_refused() -> None:
    assert refusal(part(b"") * 4 + b"--x--\r\n") == (
        413,
        "Too many files: 3 images are taken at once.",
    )
    assert refusal(part(b"", file=None) + b"--x--\r\n")[1].startswith("Send files alone")
    assert refusal(part(b"", name="file") + b"--x--\r\n") == (
        422,
        "Send the images in the field 'files', not 'file'.",
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"--y--", b"--x\r\n\r\n", HEAD[:-4] + b"\r\nfolded: " + b"a" * 20_000 + b"\r\n\r\n"],
    ids=["empty", "another boundary", "no name", "header too long"],
)
def test_what_is_malformed_is_refused(body: bytes) -> None:
    assert refusal(body)[0] == 422


ODD = "multipart/form-data; boundary=x; charset="


@pytest.mark.parametrize(("charset", "name"), [("utf-7", "+2AA-"), ("unicode_escape", r"\ud800")])
def test_what_is_no_text_in_a_name_is_replaced(charset: str, name: str) -> None:
    assert read(part(b"one", file=name) + b"--x--", kind=ODD + charset) == [Upload("?", b"one")]


@pytest.mark.parametrize(("charset", "name"), [("idna", "xn--a"), ("undefined", "a")])
def test_a_name_that_its_charset_cannot_hold_is_refused(charset: str, name: str) -> None:
    status, reason = refusal(part(b"one", file=name) + b"--x--", kind=ODD + charset)
    assert status == 422
    assert reason.startswith("The form is malformed: ")


def test_another_kind_of_body_is_refused() -> None:
    for kind in ("application/json", "image/png", "", "multipart/form-data"):
        status, reason = refusal(b"{}", kind=kind)
        assert status == 422
        assert reason.endswith(".")


def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(upload, "BODY_SECONDS", 0.01)
    assert refusal(HEAD, never)[0] == 408


def test_the_bytes_of_all_requests_count_until_they_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Limits, "memory_bytes", 250_000)
    uploads = Uploads(Limits())
    body = HEAD + b"0" * 100_000 + END

    def request() -> Request:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        return Request({"type": "http", "method": "POST", "headers": headers}, receive)

    async def run() -> None:
        async with uploads.read(request(), "files", 1), uploads.read(request(), "files", 1):
            with pytest.raises(RefusedError, match="Too many files are waiting") as error:
                await uploads.read(request(), "files", 1).__aenter__()
            assert error.value.status == 503
        async with uploads.read(request(), "files", 1) as files:
            assert len(files[0].data) == 100_000

    asyncio.run(run())
    assert uploads._held == 0
