"""Limits of one request, and of all requests together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError
from glocal.web.settings import Settings

T = TypeVar("T")

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"geolocation=(), microphone=(), camera=(self)",
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        b"connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
        b"media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class Bounds:
    """Refuses requests that are too many, too large or too slow; counts, and sets safe headers."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._under_way = 0
        self._held = 0  # bytes of the bodies of all requests that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        body = _Body()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [pair for pair in _HEADERS.items() if pair[0] not in there]
                if b"cache-control" not in there:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        self._under_way += 1
        self._metrics.under_way.set(self._under_way)
        try:
            if self._under_way > self._settings.requests and scope["path"] != "/v1/health":
                raise _busy(self._metrics, "requests")
            self._check_length(scope)
            await self._app(scope, self._bounded(receive, body), answer)
        except ProblemError as problem:  # only what was raised here: the application has its own
            await problem.response()(scope, receive, answer)
        finally:
            self._under_way -= 1
            self._held -= body.held
            self._metrics.under_way.set(self._under_way)
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _check_length(self, scope: Scope) -> None:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if any(not v.isdigit() for v in lengths) or len(set(lengths)) > 1:
            raise ProblemError(400, "the Content-Length header is invalid")
        if lengths and int(lengths[0]) > self._settings.body_bytes:
            raise self._too_large()
        if lengths and self._held + int(lengths[0]) > self._settings.arriving_bytes:
            raise _busy(self._metrics, "bytes", seconds=2)

    def _bounded(self, receive: Receive, body: _Body) -> Receive:
        """Receive the body of a request within the limits of size and time."""
        ends = time.monotonic() + self._settings.body_seconds
        left = self._settings.body_bytes
        whole = False

        async def bounded() -> Message:
            nonlocal left, whole
            if whole:  # all that can still come is that the client disconnects
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                self._metrics.refused.labels("slow").inc()
                raise ProblemError(
                    408,
                    f"the request took longer than {self._settings.body_seconds:g} s to arrive",
                ) from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                left -= size
                # Counted as they arrive: what a slow client only announces takes no room.
                body.held += size
                self._held += size
                whole = not message.get("more_body", False)
                if left < 0:
                    raise self._too_large()
                if self._held > self._settings.arriving_bytes and size:
                    raise _busy(self._metrics, "bytes", seconds=2)
            return message

        return bounded

    def _too_large(self) -> ProblemError:
        self._metrics.refused.labels("large").inc()
        return ProblemError(
            413,
            f"a request can be up to {self._settings.body_bytes / 2**20:.0f} MB",
        )


@dataclass(slots=True)
class _Body:
    """How much of the body of a request was received."""

    held: int = 0


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Turns:
    """A queue: a few work at the same time, a bounded number wait, all others are refused.

    Args:
        name: of the queue, in the metrics.
        places: how many work at the same time.
        waiting: how many may wait.
        metrics: gets the number of those that wait.
    """

    def __init__(self, name: str, places: int, waiting: int, metrics: Metrics) -> None:
        self._name = name
        self._places = asyncio.Semaphore(places)
        self._most = waiting
        self._waiting = 0
        self._metrics = metrics

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a turn and take it; yields the seconds waited.

        Raises:
            ProblemError: too many are waiting already.
        """
        if self._places.locked() and self._waiting >= self._most:
            raise _busy(self._metrics, self._name)
        self._waiting += 1
        self._metrics.waiting.labels(self._name).set(self._waiting)
        began = time.perf_counter()
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
            self._metrics.waiting.labels(self._name).set(self._waiting)
        try:
            yield time.perf_counter() - began
        finally:
            self._places.release()


def _busy(metrics: Metrics, reason: str, *, seconds: int = 1) -> ProblemError:
    metrics.refused.labels(reason).inc()
    return ProblemError(
        429,
        "the server is too busy; try again in a moment",
        headers={"Retry-After": str(seconds)},
    )


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """Do work for a client and stop if it disconnects; the body must have been read.

    Raises:
        ProblemError: the client has disconnected.
    """
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_leaves(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ProblemError(400, "the client disconnected")
    finally:
        for one in (task, left):
            one.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
