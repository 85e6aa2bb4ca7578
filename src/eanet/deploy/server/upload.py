"""Uploaded files: read into memory while they arrive, within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from eanet.deploy.server.settings import Limits, RefusedError

BODY_SECONDS = 60.0
"""Time in which the body of a request has to arrive."""
NAME_LENGTH = 255  # of a file; longer ones are cut, as no file system has them


class Upload(NamedTuple):
    """A file of a request: the name that the client gave it, only ever to be shown, and bytes."""

    name: str
    data: bytes


class Uploads:
    """Reads the files of requests, and counts the bytes of all that are in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request, field: str, most: int) -> AsyncIterator[list[Upload]]:
        """Yield the files in a field of a form; until the block ends, they count as in memory.

        Args:
            request: its body has not been read.
            field: name of the field.
            most: number of files.

        Raises:
            RefusedError: there are none or too many, they are too large or come too slowly, or the
                files of other requests take the memory.
        """
        limits, read = self._limits, 0

        async def chunks() -> AsyncGenerator[bytes]:
            nonlocal read
            async for chunk in request.stream():
                read += len(chunk)
                self._held += len(chunk)
                self._check_size(read)
                if self._held > limits.memory_bytes:
                    raise RefusedError(503, "Too many files are waiting; try again in a moment.")
                yield chunk

        try:
            length = request.headers.get("content-length", "")
            self._check_size(int(length) if length.isdecimal() else 0)
            yield await _parse(request, chunks(), field, most)
        finally:
            self._held -= read

    def _check_size(self, size: int) -> None:
        if size > self._limits.request_bytes:
            raise RefusedError(
                413,
                f"The files are too large together: {self._limits.max_megabytes} MiB are taken at "
                "once.",
            )


class _Form(MultiPartParser):
    """Keeps files in memory: their size is limited, and a disk may be read-only or full."""

    spool_max_size = 0  # never to disk


async def _parse(
    request: Request, chunks: AsyncGenerator[bytes], field: str, most: int
) -> list[Upload]:
    """Read a form of files, all in one field."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RefusedError(
            422, f"Send the images as files in the field {field!r} of a multipart form."
        )
    form = _Form(request.headers, chunks, max_files=most, max_fields=0)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            parts = await form.parse()
    except TimeoutError:
        reason = f"The files did not arrive within {BODY_SECONDS:.0f} seconds."
        raise RefusedError(408, reason) from None
    except MultiPartException as error:
        if "files" in error.message:
            plural = "image is" if most == 1 else "images are"
            raise RefusedError(413, f"Too many files: {most} {plural} taken at once.") from error
        if "fields" in error.message:
            reason = f"Send files alone: {field!r} is the only field of the form, with file names."
            raise RefusedError(422, reason) from error
        raise RefusedError(422, f"The form is malformed: {error.message}") from error
    # Of names in an odd charset; and FormParserError, which Starlette passes on before 1.8.
    except ValueError as error:
        raise RefusedError(422, f"The form is malformed: {error}") from error
    files = []
    for name, part in parts.multi_items():
        if name != field or not isinstance(part, UploadFile):
            raise RefusedError(422, f"Send the images in the field {field!r}, not {name[:80]!r}.")
        files.append(Upload(_shown(part.filename or ""), await part.read()))
    await parts.close()
    if not files:
        raise RefusedError(422, f"Send at least one image as a file in the field {field!r}.")
    return files


def _shown(name: str) -> str:
    """Cut a name, and replace what JSON cannot hold: half characters, of an odd charset."""
    return name[:NAME_LENGTH].encode("utf-8", "replace").decode("utf-8")
