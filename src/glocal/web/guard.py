"""Which requests are allowed: their token or cookie, their host, and the page they come from."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from glocal.web.problems import ProblemError
from glocal.web.settings import LOOPBACK, Settings

COOKIE = "glocal_session"
OWN_HEADER = "X-Glocal"
"""A header that forms and links of other sites cannot send (protection against CSRF)."""

_SESSION_SECONDS = 30 * 86_400
_MOST_SESSIONS = 1_000
_MOST_FAILURES = 10  # of logging in, in a minute, from one address
_MOST_ADDRESSES = 10_000
_OPEN = frozenset({"/v1/health", "/v1/ready", "/v1/login", "/v1/logout"})
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS = frozenset({"/v1/search", "/v1/search/batch"})  # POST for the images; nothing changes
_WORK = frozenset({"/v1/duplicates/comparisons"})  # changes nothing, and takes up to an hour


class Sessions:
    """The cookies that stand for the token; they end with the server."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else _digest(token)
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def knows_token(self, token: str) -> bool:
        """Whether this is the token; takes as long for any other."""
        return self._token is not None and hmac.compare_digest(_digest(token), self._token)

    def open(self, token: str, address: str) -> str:
        """Begin a session.

        The right token always does: it is too long to be guessed, and whoever knows it must not be
        locked out by others, who may share an address with them.

        Args:
            token: that a client shows.
            address: of the client.

        Raises:
            ProblemError: the token is wrong, or was wrong too often.
        """
        now = time.monotonic()
        if not self.knows_token(token):
            self._note_failure(_network(address), now)
            raise ProblemError(401, "the token is wrong")
        value = secrets.token_urlsafe(32)
        self._ends[_digest(value)] = now + _SESSION_SECONDS
        while len(self._ends) > _MOST_SESSIONS:
            self._ends.popitem(last=False)
        return value

    def _note_failure(self, network: str, now: float) -> None:
        failures = self._failures.setdefault(network, deque())
        self._failures.move_to_end(network)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)
        while failures and failures[0] < now - 60:
            failures.popleft()
        if len(failures) >= _MOST_FAILURES:
            raise ProblemError(
                429, "too many wrong tokens; try again in a minute", headers={"Retry-After": "60"}
            )
        failures.append(now)

    def knows(self, value: str) -> bool:
        """Whether a cookie is valid; because of the digest the look-up's time reveals nothing."""
        return self._ends.get(_digest(value), 0.0) > time.monotonic()

    def close(self, value: str) -> None:
        """End a session."""
        self._ends.pop(_digest(value), None)


class Guard:
    """Passes on the requests that the owner allows, and answers all others with a problem."""

    def __init__(self, app: ASGIApp, settings: Settings, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Request(scope))
        except ProblemError as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, request: Request) -> None:
        headers, path = request.headers, request.scope["path"]
        self._check_host(headers)
        by_token = self._check_token(request, path)
        if request.method in _HARMLESS:
            return
        # Also with a token: a proxy may add it to every request that it passes on.
        origin = headers.get("origin")
        if origin is not None and not self._is_allowed_origin(origin, headers, path):
            raise ProblemError(403, "pages of other sites may not send this request")
        site = headers.get("sec-fetch-site", "same-origin")
        if origin is None and site not in ("same-origin", "none"):
            raise ProblemError(403, "pages of other sites may not send this request")
        if self._settings.read_only and path not in _READS | _WORK | _OPEN:
            raise ProblemError(
                403, "clients can change nothing on this server; it was started with --read-only"
            )
        if origin is None and not by_token and path not in _READS and OWN_HEADER not in headers:
            raise ProblemError(
                403,
                f"requests that change something need the header {OWN_HEADER}: 1",
                kind="urn:glocal:csrf",
            )

    def _is_allowed_origin(self, origin: str, headers: Headers, path: str) -> bool:
        """Whether a page of this origin may send a request that is not harmless by its method."""
        allowed = self._settings.cors_origins
        if origin in allowed or ("*" in allowed and path in _READS):
            return True
        return _same_origin(origin, headers.get("host", ""))

    def _check_host(self, headers: Headers) -> None:
        """Answer to known names only: an attacker can make a name point here (DNS rebinding)."""
        named = headers.getlist("host")
        name = _host_name(named[0]) if len(named) == 1 else None
        if name is None:
            raise ProblemError(400, "the Host header is missing or invalid")
        allowed = self._settings.hosts
        if self._settings.loopback:
            allowed |= LOOPBACK
        elif not allowed:
            return
        if name not in allowed:
            raise ProblemError(
                421,
                f"this server does not answer to the name {name}; its owner can allow it: "
                "glocal serve --allow-host NAME",
            )

    def _check_token(self, request: Request, path: str) -> bool:
        """Whether there is a bearer token.

        Raises:
            ProblemError: the token is wrong, or is needed and there is neither it nor a cookie.
        """
        if self._settings.token is None:
            return False
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if self._sessions.knows_token(shown.strip()):
                return True
            raise _unknown("the token is wrong")
        if path in _OPEN or not _is_data(path):
            return False
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and self._sessions.knows(cookie):
            return False
        raise _unknown("this server needs a token; send the header Authorization: Bearer TOKEN")


def _network(address: str) -> str:
    """The network that an address counts for: whoever has one IPv6 address has 2 ** 64."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((int(ip), 64), strict=False))
    return str(ip)


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="glocal"'})


def _is_data(path: str) -> bool:
    """Whether a path is anything but the page's own files, which reveal nothing of the gallery."""
    return path.startswith("/v1/") or path in ("/v1", "/metrics")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; `None` if it is invalid."""
    if not host or any(mark in host for mark in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return (parts.hostname or "").rstrip(".").lower() or None


def _same_origin(origin: str, host: str) -> bool:
    """Whether the origin of a page is this server, as the client names it.

    Schemes are not compared, because they differ behind a proxy that ends TLS. Ports are; the
    default port of the scheme may be left out.
    """
    try:
        page, own = urlsplit(origin), urlsplit(f"//{host}")
        usual = {"http": 80, "https": 443}.get(page.scheme)
        ports = page.port or usual, own.port or usual
    except ValueError:
        return False
    return usual is not None and page.hostname == own.hostname and ports[0] == ports[1]
