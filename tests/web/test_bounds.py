"""The limits of a server, piece by piece and without one."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryLockedError,
    GlocalError,
    ImageError,
)
from glocal.web import decode_child, fetching
from glocal.web.bounds import Bounds
from glocal.web.fetching import Fetches
from glocal.web.guard import Role, Sessions
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError, as_problem
from glocal.web.readiness import Readiness
from glocal.web.settings import Settings
from glocal.web.uploads import Uploads

TOKEN = "0123456789abcdef0123"  # noqa: S105 - of this test


def test_a_system_that_refuses_a_limit_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS refuses to bound the address space."""
    kept = {}

    def setrlimit(what: int, limits: tuple[int, int]) -> None:
        if what == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")
        kept[what] = limits

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    decode_child._confine()
    assert kept == {resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_FSIZE: (0, 0)}


class FakeDecoders:
    """Decoders that fail, hang or work."""

    def __init__(self, *, fails: bool = False, hangs: bool = False) -> None:
        self.fails, self.hangs, self.asked = fails, hangs, 0

    async def pixels(self, data: bytes, *, min_pixels: int) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.fails:
            raise ImageError("it crashed the decoder")


def ready(decoders: Any, search: Callable[[], Awaitable[object]], times: int = 1) -> None:
    async def check() -> None:
        readiness = Readiness(decoders, search)
        for _ in range(times):
            await readiness.check()

    asyncio.run(check())


def test_a_server_is_ready_only_if_it_decodes_and_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    async def search() -> None:
        searched.append(1)

    async def damaged() -> None:
        raise ImageError("the vectors are gone")

    sound = FakeDecoders()
    ready(sound, search, times=3)
    assert (sound.asked, len(searched)) == (1, 1)  # who asks often costs nothing
    for decoders, how in ((FakeDecoders(fails=True), search), (FakeDecoders(), damaged)):
        with pytest.raises(ProblemError) as caught:
            ready(decoders, how)
        assert caught.value.status == 503
    monkeypatch.setattr("glocal.web.readiness._PATIENCE", 0.01)
    ready(FakeDecoders(hangs=True), search)  # at work


# Bytes of uploads


def ask(
    bounds: Bounds, chunks: list[bytes], *, announced: int | None = None
) -> tuple[int, dict[str, str]]:
    """Send one request; its status and the headers of the answer."""
    found: list[dict[str, Any]] = []
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        found.append(message)

    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(bounds(scope, receive, send))
    return found[0]["status"], {k.decode(): v.decode() for k, v in found[0]["headers"]}


def bounded(app: Any, **more: int) -> Bounds:
    return Bounds(app, Settings(**more), Metrics())


async def reads(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.mark.parametrize("announced", [True, False])
def test_bodies_beyond_the_budget_are_refused_for_a_moment(announced: bool) -> None:
    inner: list[tuple[int, dict[str, str]]] = []

    def another() -> tuple[int, dict[str, str]]:
        return ask(bounds, [b"x" * 60] * 2, announced=120 if announced else None)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not inner and not announced_inside:
            announced_inside.append(True)
            await receive()  # while this one is held, another comes
            inner.append(await asyncio.get_running_loop().run_in_executor(None, another))
        await reads(scope, receive, send)

    announced_inside: list[bool] = []
    bounds = bounded(app, arriving_bytes=150)
    assert ask(bounds, [b"x" * 50, b"x" * 10])[0] == 200
    status, headers = inner[0]
    assert (status, headers["retry-after"]) == (429, "2")
    assert ask(bounds, [b"x" * 140])[0] == 200  # what was answered holds nothing


# Tokens, and pages of other sites


def refused(sessions: Sessions, address: str) -> int:
    with pytest.raises(ProblemError) as caught:
        sessions.role_of_token("wrong", address)
    return caught.value.status


def test_wrong_tokens_lock_out_their_own_address_only_and_never_the_right_one() -> None:
    sessions = Sessions(TOKEN)
    assert [refused(sessions, "192.0.2.1") for _ in range(12)] == [401] * 10 + [429] * 2
    with pytest.raises(ProblemError, match="too many"):  # to log in is to show a token too
        sessions.open("wrong", "192.0.2.1")
    assert refused(sessions, "192.0.2.2") == 401
    assert sessions.role_of_token(TOKEN, "192.0.2.1") is Role.CHANGE
    assert sessions.role_of_cookie(sessions.open(TOKEN, "192.0.2.1")) is Role.CHANGE
    # Somebody with IPv6 has 2 ** 64 addresses.
    assert [refused(sessions, f"2001:db8::{n:x}") for n in range(12)][-1] == 429
    assert refused(sessions, "2001:db8:0:1::1") == 401


# Fetches


def test_names_that_do_not_resolve_hold_up_nothing_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def resolving(url: str, most_bytes: int) -> bytes:
        over.wait(20)
        return b""

    monkeypatch.setattr(fetching, "fetch", resolving)
    monkeypatch.setattr(fetching, "_LOOKUP_SECONDS", 0.05)

    async def run() -> None:
        fetches = Fetches(1000, Metrics())
        began = time.monotonic()
        found = await asyncio.gather(
            *(fetches.get("http://slow.example/") for _ in range(30)), return_exceptions=True
        )
        assert time.monotonic() - began < 10
        statuses = [error.status for error in found if isinstance(error, ProblemError)]
        assert len(statuses) == 30
        assert set(statuses) == {422, 429}
        over.set()
        fetches.stop()

    asyncio.run(run())


# Uploads


def test_an_upload_outlives_the_server_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    name = Uploads(folder, 10**6).keep(b"one image")
    again = Uploads(folder, 10**6)
    found = again.get(name)
    assert found is not None
    assert found.data == b"one image"
    assert again.keep(b"one image") == name
    assert again.keep(b"another") != name
    assert Uploads(tmp_path / "elsewhere", 10**6).keep(b"one image") != name
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / ".secret").stat().st_mode & 0o077 == 0
    for wrong in ("../uploads/.secret", "u-" + "A" * 22, ".secret", ""):
        assert again.get(wrong) is None


def test_uploads_keep_to_their_budget(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 100)
    names = []
    for number in range(12):
        names.append(uploads.keep(bytes([number]) * 20))
        uploads.get(names[0])  # used again and again
        assert sum(path.stat().st_size for path in tmp_path.glob("u-*")) <= 100
    assert uploads.get(names[0]) is not None
    assert uploads.get(names[1]) is None
    assert uploads.get(names[-1]) is not None
    none = Uploads(tmp_path / "none", 0)
    assert none.get(none.keep(b"x")) is None


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (GalleryDamagedError("/secret/catalog is damaged"), 503, "run: glocal check --repair"),
        (GalleryError("/secret/catalog cannot be used"), 503, "try again in a moment"),
        (GalleryLockedError("/secret/catalog is locked"), 409, "try again in a moment"),
        (DiskFullError("/secret is full"), 507, "disk is full"),
    ],
)
def test_errors_of_the_gallery_say_what_to_do_and_no_path(
    error: GlocalError, status: int, told: str
) -> None:
    problem = as_problem(error)
    assert problem.status == status
    assert told in str(problem.detail)
    assert "secret" not in str(problem.detail)
