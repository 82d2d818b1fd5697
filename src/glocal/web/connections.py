"""Connections that slow clients cannot hold forever."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 400
"""Connections at once; more are closed as they come."""

_HEADER_SECONDS = 10.0
_STALLED_SECONDS = 30.0
_INTERVAL = 2.0
_LINGER = 1.0


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that ends connections whose requests never start or whose responses are never read.

    uvicorn limits the time between two requests, and `Bounds` limits bodies. What remains are
    headers that arrive byte by byte, and responses that the client does not read.
    """

    _beginning: float
    _check: asyncio.TimerHandle | None = None
    _stalled: tuple[int, float] = (0, 0.0)

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, or close it if there are too many."""
        super().connection_made(transport)
        self._beginning = time.monotonic()
        if len(self.connections) > MOST:
            transport.abort()
            return
        self._check = self.loop.call_later(_INTERVAL, self._check_times)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop checking the connection."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless this one has not been received completely.

        A response before the end of the body is a refusal: the rest of the body is not read. The
        connection is closed a moment later, because closing it over unread bytes would discard the
        response while the client is still sending.
        """
        self._beginning = time.monotonic()
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self.transport.pause_reading()
            self.transport.write_eof()
            self.loop.call_later(_LINGER, self.transport.abort)

    def _check_times(self) -> None:
        now = time.monotonic()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._stalled[0]:
            self._stalled = (unsent, now)
        answering = self.cycle is not None and not self.cycle.response_complete
        late = not answering and unsent == 0 and now - self._beginning > _HEADER_SECONDS
        if late or (unsent and now - self._stalled[1] > _STALLED_SECONDS):
            self.transport.abort()
            return
        self._check = self.loop.call_later(_INTERVAL, self._check_times)
