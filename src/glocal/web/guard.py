"""Which requests are allowed: their token or cookie, their host, and the page they come from."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from enum import IntEnum
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
_MOST_FAILURES = 10  # wrong tokens in a minute, from one address
_MOST_ADDRESSES = 10_000
_OPEN = frozenset({"/v1/health", "/v1/ready", "/v1/login", "/v1/logout"})
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS = frozenset(  # POST for what is sent; nothing changes
    {
        "/v1/search",
        "/v1/search/batch",
        "/v1/locate",
        "/v1/downloads/zip",
        "/v1/downloads/csv",
    }
)
_WORK = frozenset({"/v1/duplicates/comparisons"})  # changes nothing, and takes up to an hour


class Role(IntEnum):
    """What a client may do."""

    READ = 1
    CHANGE = 2


class Sessions:
    """The tokens, and the cookies that stand for them; cookies end with the server.

    Args:
        token: lets clients do everything; `None`: they need none.
        read_token: lets clients read.
    """

    def __init__(self, token: str | None, read_token: str | None = None) -> None:
        tokens = {Role.CHANGE: token, Role.READ: read_token}
        self._tokens = {role: _digest(text) for role, text in tokens.items() if text is not None}
        self._sessions: OrderedDict[bytes, tuple[Role, float]] = OrderedDict()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def role_of_token(self, token: str, address: str) -> Role:
        """What a token lets do; takes as long for any.

        A right token always does: it is too long to be guessed, and whoever knows it must not be
        locked out by others, who may share an address with them.

        Args:
            token: that a client shows.
            address: of the client.

        Raises:
            ProblemError: the token is wrong, or wrong tokens came too often from there.
        """
        shown = _digest(token)
        roles = [role for role, one in self._tokens.items() if hmac.compare_digest(shown, one)]
        if not roles:
            self._note_failure(_network(address), time.monotonic())
            raise _unknown("the token is wrong")
        return max(roles)

    def open(self, token: str, address: str) -> str:
        """Begin a session; see `role_of_token`."""
        role = self.role_of_token(token, address)
        value = secrets.token_urlsafe(32)
        self._sessions[_digest(value)] = role, time.monotonic() + _SESSION_SECONDS
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
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

    def role_of_cookie(self, value: str) -> Role | None:
        """What a cookie lets do; because of the digest the look-up's time reveals nothing."""
        role, ends = self._sessions.get(_digest(value), (None, 0.0))
        return role if ends > time.monotonic() else None

    def close(self, value: str) -> None:
        """End a session."""
        self._sessions.pop(_digest(value), None)


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
        role, by_token = self._check_token(request, path)
        request.state.role = role
        if request.method in _HARMLESS:
            return
        # Also with a token: a proxy may add it to every request that it passes on.
        origin = headers.get("origin")
        if origin is not None and not self._is_allowed_origin(origin, headers, path):
            raise ProblemError(403, "pages of other sites may not send this request")
        site = headers.get("sec-fetch-site", "same-origin")
        if origin is None and site not in ("same-origin", "none"):
            raise ProblemError(403, "pages of other sites may not send this request")
        if role < Role.CHANGE and path not in _READS | _WORK | _OPEN:
            raise ProblemError(
                403,
                "clients can change nothing on this server; it was started with --read-only, or "
                "its gallery can only be read"
                if self._settings.read_only
                else "this token lets read only; changing something needs the server's full token",
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

    def _check_token(self, request: Request, path: str) -> tuple[Role, bool]:
        """What the client may do, and whether it has shown a bearer token.

        Raises:
            ProblemError: the token is wrong, or is needed and there is neither it nor a cookie.
        """
        most = Role.READ if self._settings.read_only else Role.CHANGE
        if self._settings.token is None:
            return most, False
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            client = request.client.host if request.client else ""
            return min(self._sessions.role_of_token(shown.strip(), client), most), True
        role = self._sessions.role_of_cookie(request.cookies.get(COOKIE, ""))
        if role is not None:
            return min(role, most), False
        if path in _OPEN or not _is_data(path):
            return Role.READ, False
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
