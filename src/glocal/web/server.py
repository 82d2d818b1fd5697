"""Running the application: sockets, signals, shutting down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from glocal.errors import GlocalError
from glocal.gallery import Gallery
from glocal.web.app import create_app
from glocal.web.connections import PatientProtocol
from glocal.web.explainers import explainers
from glocal.web.service import Service
from glocal.web.settings import Settings

_DRAIN_SECONDS = 20
_BACKLOG = 256
_log = logging.getLogger(__name__)


class AddressError(GlocalError, OSError):
    """The server cannot listen on the address."""


class _Server(uvicorn.Server):
    """A server that ends with status 0 after SIGINT or SIGTERM."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals without raising them again afterwards."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: object) -> None:
        """Finish what is running; a second Ctrl-C ends at once."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
        self._service.drain()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 stands for any free port.

    Raises:
        AddressError: the address is not this machine's, or is in use.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio recognises TCP only if the socket names its protocol, and then switches off the
        # delay that would add 40 ms to every response of more than one piece.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(_BACKLOG)
            bound.setblocking(False)
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AddressError(
            f"no server can listen on {host}, port {port}: {reason}; choose another --port"
        ) from error
    return bound


def serve(
    gallery: Gallery, settings: Settings, bound: socket.socket, ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT; running requests are finished first.

    Args:
        gallery: open.
        settings: the owner's decisions.
        bound: from `bind`; it is closed at the end.
        ready: called as soon as requests are answered.
    """
    app = create_app(gallery, settings, explainers())
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config, service)
    with bound:
        asyncio.run(_serve(server, bound, ready))


async def _serve(server: _Server, bound: socket.socket, ready: Callable[[], None]) -> None:
    async def tell() -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        ready()

    telling = asyncio.create_task(tell())
    try:
        await server.serve(sockets=[bound])
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
