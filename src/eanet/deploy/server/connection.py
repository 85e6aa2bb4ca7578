"""Connections that cannot be held open by clients who send or read slowly."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from eanet.deploy.server.upload import BODY_SECONDS

HEAD_SECONDS = 10.0  # for the first line and the headers of a request
READ_SECONDS = 30.0  # for the client to read what waits to be sent
GRACE_SECONDS = 5.0  # after those of the body, in which the answer says so
MOST_CONNECTIONS = 500  # a process may open 1,024 files, usually


class Connection(H11Protocol):
    """uvicorn's connection, which by itself waits without end for a request to be complete.

    A connection over the limits of time or number is cut.
    """

    _timer: asyncio.TimerHandle | None = None
    _awaited: Any = None  # the state of the client that the timer is for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Be ready for another request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._start(READ_SECONDS, "reading")

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Give the client time for what is awaited from it, once for each request."""
        awaited = self.conn.their_state
        if self.transport.is_closing() or self.flow.write_paused or awaited is self._awaited:
            return
        if awaited is h11.IDLE:
            self._start(HEAD_SECONDS, awaited)
        elif awaited is h11.SEND_BODY:
            self._start(BODY_SECONDS + GRACE_SECONDS, awaited)
        else:
            self._stop()

    def _start(self, seconds: float, awaited: Any) -> None:
        self._stop()
        self._awaited = awaited
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self) -> None:
        self._awaited = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
