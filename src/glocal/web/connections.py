"""Connections that do not let slow clients hold them for ever."""

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
_LOOK = 2.0
_LINGER = 1.0


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that ends connections whose requests never begin or whose answers are never read.

    uvicorn bounds the time between two requests; bodies are bounded by `Bounds`. What is left are
    headers that come a byte at a time, and answers that nobody takes.
    """

    _beginning: float
    _looking: asyncio.TimerHandle | None = None
    _stalled: tuple[int, float] = (0, 0.0)

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or close it when there are too many."""
        super().connection_made(transport)
        self._beginning = time.monotonic()
        if len(self.connections) > MOST:
            transport.abort()
            return
        self._looking = self.loop.call_later(_LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """From now on the next request may begin, if this one has come to its end.

        Who was answered before its body was whole was refused: what else it sends is not read.
        The connection is closed a moment later, since closing it over unread bytes would take the
        answer back from a client that is still sending.
        """
        self._beginning = time.monotonic()
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self.transport.pause_reading()
            self.transport.write_eof()
            self.loop.call_later(_LINGER, self.transport.abort)

    def _look(self) -> None:
        now = time.monotonic()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._stalled[0]:
            self._stalled = (unsent, now)
        answering = self.cycle is not None and not self.cycle.response_complete
        late = not answering and unsent == 0 and now - self._beginning > _HEADER_SECONDS
        if late or (unsent and now - self._stalled[1] > _STALLED_SECONDS):
            self.transport.abort()
            return
        self._looking = self.loop.call_later(_LOOK, self._look)
