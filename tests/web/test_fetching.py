"""Fetching queries: public addresses only, whatever they are called and wherever they lead."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from glocal.web.fetching import fetch, is_public
from glocal.web.problems import ProblemError


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2002:c0a8:101::1", "2001:db8::1", "not-an-address", "",
        "fec0::1", "::127.0.0.1", "::8.8.8.8", "64:ff9b:1::808:808", "100::1", "5f00::1",
        "3fff::1", "2001:10::1", "2001:20::1", "192.88.99.1", "192.0.0.9", "192.31.196.1",
        "192.52.193.1", "192.175.48.1", "240.0.0.1", "4000::1", "3ffe::1", "198.51.100.1",
        "203.0.113.1", "198.19.255.255", "192.0.0.170", "192.88.99.2", "100:0:0:1::1",
        "2001::1", "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:30::1",
        "2620:4f:8000::1", "3fff:fff::1", "64:ff9b::c0a8:101", "::ffff:169.254.169.254",
    ],
)  # fmt: skip
def test_nearby_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "192.0.1.1", "198.17.255.255", "198.20.0.1",
     "2606:4700:4700::1111", "2001:200::1", "2620:4f:7fff::1", "::ffff:8.8.8.8",
     "64:ff9b::808:808"],
)  # fmt: skip
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://2130706433/",
        "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "http://0/",
        "file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "//example.org/a",
        "http://", "http:///a", "http://user@127.0.0.1/", "http://user:word@example.org/",
        "http://example.org:22/", "http://example.org:99999/", "http://exa mple.org/",
        "http://example.org/\r\nHost: evil", "http://[::1", "http://ex\u00e4mple.org/", "",
        "http://no-such-name.invalid/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_fetched(url: str) -> None:
    with pytest.raises(ProblemError) as caught:
        fetch(url, 1000)
    assert caught.value.status == 422


Answers = Callable[[bytes], bytes]


@pytest.fixture
def site() -> Iterator[Callable[[Answers], int]]:
    """Serves what a function answers to a request's first line; gives the port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(answer: Answers) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    line = connection.recv(65_536).split(b"\r\n")[0]
                    connection.sendall(answer(line))

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(timeout=10)


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_what_is_allowed_is_fetched(site: Callable[[Answers], int]) -> None:
    port = site(ok)
    found = fetch(
        f"http://127.0.0.1:{port}/a?b=c#d",
        1000,
        allowed=lambda _: True,
        ports=frozenset({port}),
    )
    assert found == b"GET /a?b=c HTTP/1.1"


def test_a_redirect_to_a_nearby_address(site: Callable[[Answers], int]) -> None:
    asked: list[bytes] = []

    def answer(line: bytes) -> bytes:
        asked.append(line)
        return b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:%d/secret\r\n\r\n" % port

    port = site(answer)
    with pytest.raises(ProblemError, match="not on the public internet"):
        fetch(
            f"http://127.0.0.1:{port}/",
            1000,
            allowed=lambda address: address == "127.0.0.1",
            ports=frozenset({port}),
        )
    assert asked == [b"GET / HTTP/1.1"]


def test_redirects_to_other_schemes_and_in_circles(site: Callable[[Answers], int]) -> None:
    places = iter([b"file:///etc/passwd", b"/b", b"/c", b"/d", b"/e", b"/f"])
    port = site(lambda _: b"HTTP/1.1 301 X\r\nLocation: " + next(places) + b"\r\n\r\n")
    for said in ("must start with http", "more than 3 times"):
        with pytest.raises(ProblemError, match=said):
            fetch(
                f"http://127.0.0.1:{port}/",
                1000,
                allowed=lambda _: True,
                ports=frozenset({port}),
            )


def test_a_name_is_resolved_once(
    site: Callable[[Answers], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when it is checked and nearby when it is asked (DNS rebinding)."""
    port = site(ok)
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    calls: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        calls.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 0))]

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: resolve(host) if host == "example.org" else real(host, *a, **k),
    )
    found = fetch(
        f"http://example.org:{port}/",
        1000,
        allowed=lambda address: address == "127.0.0.1",
        ports=frozenset({port}),
    )
    assert found.startswith(b"GET")
    assert calls == ["example.org"]


def test_one_nearby_address_of_several_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, 1, 6, "", (a, 0)) for a in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ProblemError, match="not on the public internet"):
        fetch("http://example.org/", 1000)


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"x" * 1001), b"HTTP/1.1 404 No\r\n\r\n", b"nonsense\r\n\r\n", b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)  # fmt: skip
def test_answers_that_make_no_sense(site: Callable[[Answers], int], answer: bytes) -> None:
    port = site(lambda _: answer)
    with pytest.raises(ProblemError):
        fetch(f"http://127.0.0.1:{port}/", 1000, allowed=lambda _: True, ports=frozenset({port}))


def test_a_slow_answer(site: Callable[[Answers], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.web.fetching._SECONDS", 0.5)
    given_up = threading.Event()

    def answer(_: bytes) -> bytes:
        assert given_up.wait(60)
        return ok(b"late")

    port = site(answer)
    try:
        with pytest.raises(ProblemError, match="in time"):
            fetch(
                f"http://127.0.0.1:{port}/", 1000, allowed=lambda _: True, ports=frozenset({port})
            )
    finally:
        given_up.set()
