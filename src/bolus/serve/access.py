"""Access to the server, and what browsers may do with its answers.

Three attacks on a local server come from pages that the user has open elsewhere: a foreign page
that posts to it (refused by Origin), one that reads it by making its own name point here (DNS
rebinding, refused by Host), and one that frames it.  On a network, everybody needs the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_HEADER = b"x-bolus-token"
LARGEST_BODY = 8 * 2**20
"""A slice of 2048 x 2048 labels has half of it."""
TOO_LARGE = "this is larger than anything the page sends"
SAFE_METHODS = ("GET", "HEAD")

CONTENT_SECURITY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    # positions of panels are set on elements
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' data: blob:",
    "worker-src 'self' blob:",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


@dataclass(frozen=True)
class Access:
    """Under which address the server is reached, and with which token."""

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    """None on loopback: whoever can reach it can read the files as well."""

    @property
    def cookie(self) -> str:
        """Name of the cookie with the token; cookies don't distinguish ports."""
        return f"bolus-token-{self.port}"

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname, parts.port
        except ValueError:
            return False
        if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
            return False
        if (port or 80) != self.port:
            return False
        if name in LOOPBACK or name == self.host.lower():
            return True
        # on a network any of the machine's addresses is accepted, but no name that others control
        return self.token is not None and (_is_address(name) or name == _own_name())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_name() -> str:
    return socket.gethostname().lower()


class Guard:
    """ASGI middleware: checks every request, and adds headers to every answer."""

    def __init__(self, app: App, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        if self._signs_in(scope):
            await self._with_cookie(scope, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [h for h in HEADERS if h[0] not in present]
                if b"cache-control" not in present:
                    added.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self.app(scope, _Limited(receive), guarded)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self.access.knows(host):
            return 421, "this server is not known under that name; open the address it printed"
        if headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site") and not (
            scope["path"] == "/" and headers.get(b"sec-fetch-mode") == b"navigate"
        ):
            return 403, "other pages may not use this server"
        origin = headers.get(b"origin")
        if scope["method"] not in SAFE_METHODS and origin is not None:
            own = f"{scope['scheme']}://{host}".encode("latin-1")
            if origin.lower() != own.lower():
                return 403, "other pages may not use this server"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 15 or int(length) > LARGEST_BODY:
            return 413, TOO_LARGE
        if self.access.token is not None and not self._has_token(scope, headers):
            return 401, "a token is needed; open the address that `bolus view` printed"
        return None

    def _has_token(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        given = [headers.get(TOKEN_HEADER, b"").decode("latin-1")]
        given += [value for name, value in _query(scope) if name == "token"]
        given.append(cookie_value(headers.get(b"cookie", b""), self.access.cookie))
        expected = (self.access.token or "").encode()
        return any(hmac.compare_digest(one.encode(), expected) for one in given)

    def _signs_in(self, scope: Scope) -> bool:
        """Whether the page is opened with the token in its address, which must be removed."""
        named = any(name == "token" for name, _ in _query(scope))
        return self.access.token is not None and named and scope["path"] == "/"

    async def _with_cookie(self, scope: Scope, send: Send) -> None:
        rest = urlencode([(name, value) for name, value in _query(scope) if name != "token"])
        cookie = f"{self.access.cookie}={self.access.token}; Path=/; HttpOnly; SameSite=Strict"
        # not a redirect: after one from another site the strict cookie would not be sent
        target = f"/?{rest}" if rest else "/"
        page = f'<!doctype html><meta http-equiv="refresh" content="0;url={_escaped(target)}">'
        await _send(send, 200, page.encode(), "text/html", [(b"set-cookie", cookie.encode())])


class _Limited:
    """A body of at most `LARGEST_BODY`, even without a stated length."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.seen = 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self.seen += len(message.get("body", b""))
        if self.seen > LARGEST_BODY:
            raise HTTPException(413, TOO_LARGE)
        return message


def cookie_value(header: bytes, name: str) -> str:
    """A cookie by its name; empty where there is none."""
    try:
        found = SimpleCookie(header.decode("latin-1")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in scope["headers"]}


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


async def _answer(send: Send, status: int, sentence: str) -> None:
    await _send(send, status, json.dumps({"error": sentence}).encode(), "application/json", [])


async def _send(
    send: Send, status: int, body: bytes, kind: str, more: list[tuple[bytes, bytes]]
) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *HEADERS,
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
