"""Fetching a query image from the public internet, and never from a private network.

Every IP address that a name resolves to has to be public, the connection goes to the address that
was checked, and each redirect is checked in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult, urljoin, urlsplit

from glocal import __version__
from glocal.web.addresses import is_public
from glocal.web.bounds import Turns
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError

_REDIRECTS = 3
_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}
_LOOKUP_SECONDS = 15.0  # of which 5 remain for a name that resolves slowly
_AT_ONCE = 4
_WAITING = 16


def fetch(
    url: str,
    most_bytes: int,
    *,
    allowed: Callable[[str], bool] = is_public,
    ports: frozenset[int] = frozenset(_PORTS.values()),
) -> bytes:
    """Fetch an image.

    Args:
        url: http or https.
        most_bytes: size that the response may have.
        allowed: says which IP addresses may be connected to.
        ports: the ports that may be connected to.

    Raises:
        ProblemError: the address is invalid or not public, does not respond in time, or responds
            with another status than 200 or with too many bytes.
    """
    ends = time.monotonic() + _SECONDS
    for _ in range(_REDIRECTS + 1):
        parts = _checked(url, ports)
        answer = _get(parts, _address(parts, allowed), most_bytes, ends)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise _refusal(f"the address redirects more than {_REDIRECTS} times")


def _checked(url: str, ports: frozenset[int]) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise _refusal("the address is invalid") from error
    if parts.scheme not in _PORTS or not parts.hostname or any(c <= " " for c in url):
        raise _refusal(
            "the address is invalid; it must start with http:// or https:// and contain no spaces"
        )
    if not url.isascii():
        raise _refusal("the address contains other characters than ASCII; percent-encode them")
    if parts.username is not None or parts.password is not None:
        raise _refusal("the address contains a user name; remove it")
    if port not in ports:
        raise _refusal(
            f"the address has the port {port}; only the ports of http and https are allowed"
        )
    return parts


def _address(parts: SplitResult, allowed: Callable[[str], bool]) -> str:
    """One of the IP addresses of a name, if all of them are allowed."""
    try:
        found = socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refusal("the host of the address is unknown") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(map(allowed, addresses)):
        raise _refusal("the address is not on the public internet")
    return addresses[0]


def _get(parts: SplitResult, address: str, most_bytes: int, ends: float) -> bytes | str:
    """The body of a response, or the address that it redirects to."""
    connection = _Pinned(parts, address, ends)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            "GET",
            target,
            headers={"User-Agent": f"glocal/{__version__}", "Accept": "image/*"},
        )
        response = connection.getresponse()
        if response.status in (301, 302, 303, 307, 308):
            return response.headers.get("Location") or "?"
        if response.status != 200:
            raise _refusal(f"the address responds with status {response.status}")
        return _body(response, connection, most_bytes)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _refusal("the address does not respond properly, or not in time") from error
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, connection: _Pinned, most_bytes: int) -> bytes:
    chunks, size = [], 0
    while chunk := response.read1(2**16):
        chunks.append(chunk)
        size += len(chunk)
        if size > most_bytes:
            raise _refusal(
                f"the image is too large; images can be up to {most_bytes / 2**20:.0f} MB"
            )
        connection.hurry()
    if response.length:  # less came than Content-Length said
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(chunks)


class Fetches:
    """A few fetches at the same time, in threads of their own: nothing else waits for them.

    The system's resolver has no deadline that a program could set, so a fetch whose name does not
    resolve is given up, and keeps its place until the resolver has given up too.

    Args:
        most_bytes: size that an image may have.
        metrics: gets the number of those that wait.
    """

    def __init__(self, most_bytes: int, metrics: Metrics) -> None:
        self._most_bytes = most_bytes
        self._turns = Turns("fetches", _AT_ONCE, _WAITING, metrics)
        self._threads = ThreadPoolExecutor(_AT_ONCE, "glocal-fetch")
        self._stuck = 0

    def stop(self) -> None:
        """Begin no more; a resolver that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get(self, url: str) -> bytes:
        """Fetch an image; see `fetch`.

        Raises:
            ProblemError: it cannot be fetched, or too many fetches are under way.
        """
        async with self._turns.turn():
            if self._stuck >= _AT_ONCE:
                raise _refusal("the names of several addresses do not resolve; try again later")
            work = self._threads.submit(fetch, url, self._most_bytes)
            try:
                async with asyncio.timeout(_LOOKUP_SECONDS):
                    return await asyncio.wrap_future(work)
            except TimeoutError as error:
                if not work.done():
                    loop = asyncio.get_running_loop()
                    self._stuck += 1
                    work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._released))
                raise _refusal("the address does not respond in time") from error

    def _released(self) -> None:
        self._stuck -= 1


class _Pinned(http.client.HTTPConnection):
    """A connection to one IP address for a host name, with a deadline."""

    def __init__(self, parts: SplitResult, address: str, ends: float) -> None:
        self._parts = parts
        self._at = address
        self._ends = ends
        port = parts.port or _PORTS[parts.scheme]
        super().__init__(parts.hostname or "", port)

    def connect(self) -> None:
        """Connect to the address that was checked, not to what the name resolves to now."""
        self.sock = socket.create_connection((self._at, self.port), timeout=self._left())
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._parts.hostname)
        self.hurry()

    def hurry(self) -> None:
        """Let no wait go beyond the deadline."""
        if self.sock is not None:
            with contextlib.suppress(OSError):  # closed by the other side: the next read says so
                self.sock.settimeout(self._left())

    def _left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _refusal(why: str) -> ProblemError:
    return ProblemError(422, why, kind="urn:glocal:url")
