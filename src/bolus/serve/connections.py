"""Limits on the number of connections to the server, and on how long they may stay silent.

A connection costs a file handle, and a process has few of them: where none is left, the results
can't be read and nobody is answered.  A new connection is not refused because of silent
ones: where there are too many, the one that has been silent longest is closed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from bolus.serve.access import App, Message, Receive, Scope, Send

MOST_CONNECTIONS = 256
MOST_OF_ONE_ADDRESS = 64
"""Browsers open 6 at a time; several readers may share one address."""
RESERVED_HANDLES = 64
"""For files, pipes and libraries."""
ACCEPTED_AT_ONCE = 16
"""Until the surplus is closed, a few rounds of these are open in addition."""
ROUNDS = 4
HEADERS_S = 10.0
"""From a connection, or the last answer on it, to the end of a request's headers."""
BODY_S = 30.0
"""A slice of 512 x 512 at 70 kbit/s."""
ANSWER_S = 300.0
"""From a request's headers to the last byte of its answer, work included."""
LOOK_AGAIN_S = 1.0
"""Interval at which slow readers of an answer are checked."""
LOG_LINES, LOG_S = 20, 60.0
"""At most this many messages in this many seconds."""

Address = tuple[str, int]
Protocol = Callable[..., asyncio.Protocol]


def most_connections(handles: int | None) -> int:
    """How many connections a process with this many file handles can hold; None for no limit."""
    if handles is None:
        return MOST_CONNECTIONS
    free = handles - RESERVED_HANDLES - ROUNDS * ACCEPTED_AT_ONCE
    return max(4, min(MOST_CONNECTIONS, free))


def handle_limit() -> int | None:
    """How many file handles this process may have."""
    try:
        import resource
    except ImportError:  # Windows, where the C library's limit does not count sockets
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class Connections:
    """The open connections of a server, and the deadline of each."""

    def __init__(
        self,
        most: int = MOST_CONNECTIONS,
        most_of_one: int = MOST_OF_ONE_ADDRESS,
        headers_s: float = HEADERS_S,
        body_s: float = BODY_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.most, self.most_of_one = most, most_of_one
        self.headers_s, self.body_s, self.answer_s = headers_s, body_s, answer_s
        self._open: dict[Address, _Connection] = {}
        """The longest idle first."""

    def protocol(self, inner: Protocol) -> Protocol:
        """A factory of ``inner``'s protocols whose connections are counted and timed."""

        def made(*arguments: Any, **named: Any) -> asyncio.Protocol:
            return _Counted(self, inner(*arguments, **named))

        return made

    def app(self, app: App) -> App:
        """``app``, which signals when a request begins, is complete, and is answered."""

        async def reporting(scope: Scope, receive: Receive, send: Send) -> None:
            connection = self._open.get(tuple(scope.get("client") or ()))
            if connection is None:
                await app(scope, receive, send)
                return

            async def receiving() -> Message:
                message = await receive()
                if message["type"] == "http.request" and not message.get("more_body"):
                    connection.busy()
                return message

            async def sending(message: Message) -> None:
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self._idle(connection)

            connection.answer_within(self.answer_s)
            if _has_body(scope):
                connection.wait(self.body_s)
            else:
                connection.busy()
            await app(scope, receiving, sending)

        return reporting

    def add(self, connection: _Connection) -> None:
        """Count a new one, and close surplus ones."""
        self._open[connection.address] = connection
        connection.wait(self.headers_s)
        host = connection.address[0]
        same = [one for one in self._open.values() if one.address[0] == host]
        if len(same) > self.most_of_one:
            _close_longest_idle(same)
        elif len(self._open) > self.most:
            _close_longest_idle(list(self._open.values()))

    def remove(self, connection: _Connection) -> None:
        """It is closed."""
        connection.forget()
        if self._open.get(connection.address) is connection:
            del self._open[connection.address]

    def _idle(self, connection: _Connection) -> None:
        connection.wait(self.headers_s)
        if self._open.pop(connection.address, None) is not None:
            self._open[connection.address] = connection


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _close_longest_idle(connections: list[_Connection]) -> None:
    """The connection that has been silent longest, preferably one that isn't reading its answer;
    where all wait for the server, the newest."""
    idle = [one for one in connections if one.is_idle and not one.is_closing]
    first = next((one for one in idle if not one.is_reading), (idle or connections[-1:])[0])
    first.close()


class _Connection:
    """One connection and its deadline."""

    def __init__(self, address: Address, transport: asyncio.Transport) -> None:
        self.address = address
        self.is_idle = True
        self.is_closing = False
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None
        self._answer_by = 0.0

    @property
    def is_reading(self) -> bool:
        """Whether a part of an answer is still to be sent."""
        return self._transport.get_write_buffer_size() > 0

    def answer_within(self, seconds: float) -> None:
        """A request begins."""
        self._answer_by = asyncio.get_running_loop().time() + seconds

    def wait(self, seconds: float) -> None:
        """For the rest of a request, or for the next one."""
        self.is_idle = True
        self._at(asyncio.get_running_loop().time() + seconds)

    def busy(self) -> None:
        """With a request that is whole."""
        self.is_idle = False
        self._at(self._answer_by)

    def forget(self) -> None:
        """Remove the deadline."""
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """At once, even with data still to be sent."""
        self.is_closing = True
        self.forget()
        self._transport.abort()

    def _at(self, end: float) -> None:
        self.forget()
        if not self.is_closing:
            self._timer = asyncio.get_running_loop().call_at(end, self._late)

    def _late(self) -> None:
        now = asyncio.get_running_loop().time()
        if self.is_idle and self.is_reading and now < self._answer_by:
            self._at(now + LOOK_AGAIN_S)
        else:
            self.close()


class _Counted(asyncio.Protocol):
    """A protocol that forwards everything to another one."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections = connections
        self._connection: _Connection | None = None
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]
        self._inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)
        peer = transport.get_extra_info("peername")
        if peer is None or not isinstance(transport, asyncio.Transport):
            transport.close()  # gone already
            return
        self._connection = _Connection((str(peer[0]), int(peer[1])), transport)
        self._connections.add(self._connection)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connections.remove(self._connection)
        self._inner.connection_lost(exc)


class FewLines(logging.Filter):
    """Passes a few messages per interval, and reports once that there were more."""

    def __init__(self, lines: int = LOG_LINES, seconds: float = LOG_S) -> None:
        super().__init__()
        self._lines, self._seconds = lines, seconds
        self._since = -seconds
        self._seen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._since > self._seconds:
            self._since, self._seen = now, 0
        self._seen += 1
        if self._seen == self._lines:
            record.msg, record.args = "Further messages are left out for a minute.", ()
            record.exc_info = record.exc_text = None
        return self._seen <= self._lines
