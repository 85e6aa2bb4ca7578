"""Keeps web pages of others, and names that lead here by trickery, away from a server.

It also answers what a server that stops no longer waits for.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


class Guard:
    """Refuses requests that a browser sends for another site, and sets the headers of answers.

    A browser sends a form to any address without asking, and a site whose name leads to this
    machine (DNS rebinding) counts as the same origin. So the name in ``Host`` has to be known, and
    what is posted has to come from here. Addresses in numbers need no list: no name leads to them.

    Args:
        app: what answers.
        hosts: names under which it may be asked, beside localhost and addresses in numbers.
        origins: other sites that may ask, such as ``https://example.org``.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI prescribes."""
        is_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif refusal := self._refusal(scope["method"], Headers(scope=scope)):
            await refusal(scope, receive, send_with_headers)
        else:
            try:
                await self._app(scope, receive, send_with_headers)
            except asyncio.CancelledError:  # a server that stops has waited for it long enough
                if not is_begun:
                    stopping = JSONResponse({"detail": "The server is stopping."}, 503)
                    await stopping(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if not self._is_known(host):
            reason = "This server does not answer under this name; start it with --allow-host."
            return JSONResponse({"detail": reason}, 400)
        if method in ("GET", "HEAD", "OPTIONS"):
            return None
        origin = headers.get("origin")
        is_own = origin is None or origin.partition("://")[2] == host
        site = headers.get("sec-fetch-site", "same-origin")
        if origin in self._origins or (is_own and site in ("same-origin", "none")):
            return None
        return JSONResponse({"detail": "Other sites may not send images here."}, 403)

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
