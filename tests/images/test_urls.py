"""URLs as paths, and reading from them: from memory, and from a web server on this machine."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.errors import ImageError, ImageMissingError, QueryError
from glocal.images import Limits, load, read_bytes, urls
from glocal.images.url_paths import SCHEMES, UrlPath, as_path, is_url

fsspec = pytest.importorskip("fsspec")


# Paths


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/a/b c.jpg", "https://host:8000/x%20y/ä.png", "memory://a/b", "gs://b/1#2.jpg"],
)
def test_a_url_stays_as_it_was(text: str) -> None:
    path = as_path(text)
    assert isinstance(path, UrlPath)
    assert (str(path), os.fspath(path), os.fsencode(path)) == (text, text, text.encode())
    assert as_path(str(Path(text))) == path  # one that has lost a slash
    assert str(as_path(str(path))) == text
    again = pickle.loads(pickle.dumps(path))  # noqa: S301 - as it goes to workers
    assert (type(again), str(again)) == (UrlPath, text)


def test_windows_reads_no_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.images.url_paths.os.name", "nt")
    with pytest.raises(QueryError, match="s3:// is not read on Windows; use Linux, WSL or macOS"):
        as_path("s3://bucket/a.jpg")
    monkeypatch.undo()
    assert str(as_path("s3://bucket/a.jpg")) == "s3://bucket/a.jpg"


def test_folders_above_end_at_the_bucket() -> None:
    path = as_path("s3://bucket/a/b.jpg")
    assert (path.name, path.suffix, str(path.parent)) == ("b.jpg", ".jpg", "s3://bucket/a")
    assert [str(above) for above in path.parents] == ["s3://bucket/a", "s3://bucket"]
    top = as_path("s3://bucket")
    assert (top.parent, list(top.parents)) == (top, [])
    assert str(top / "x" / "y.jpg") == "s3://bucket/x/y.jpg"
    assert path.is_relative_to(top)
    assert path.relative_to(top).as_posix() == "a/b.jpg"
    assert str(path.with_name("c.jpg")) == "s3://bucket/a/c.jpg"


@pytest.mark.parametrize(
    "text",
    ["/s3://a", "C:/a", "a/s3://b", "photo.jpg", "ftp://host/a", "s3:", "s3://", "-"],
)
def test_other_texts_are_paths_of_this_machine(text: str) -> None:
    assert not is_url(text)
    assert type(as_path(text)) is type(Path(text))


def test_a_file_url_is_a_path_of_this_machine() -> None:
    for text in ("file:///a/b%20c.jpg", "file:/a/b%20c.jpg", "file://localhost/a/b%20c.jpg"):
        assert as_path(text) == Path("/a/b c.jpg")


@given(st.sampled_from(SCHEMES), st.lists(st.text("ab.é :%&=+", min_size=1), min_size=1))
def test_round_trip(scheme: str, parts: list[str]) -> None:
    parts = [part for part in parts if part not in (".", "..")] or ["a"]
    path = as_path(f"{scheme}://{'/'.join(parts)}")
    assert str(path) == f"{scheme}://{'/'.join(parts)}"
    assert as_path(os.fsdecode(os.fsencode(path))) == path


@pytest.mark.parametrize("text", ["https://me:secret@host/a", "https://host/a.jpg?sig=secret"])
def test_what_is_secret_is_refused_and_not_repeated(text: str) -> None:
    path = as_path(text)
    assert isinstance(path, UrlPath)
    with pytest.raises(QueryError, match="would be kept in the gallery") as raised:
        path.require_open()
    assert "secret" not in str(raised.value)


def test_an_account_is_no_secret() -> None:
    path = as_path("abfss://container@account.dfs.core.windows.net/a")
    assert isinstance(path, UrlPath)
    path.require_open()


# Reading


class Site(BaseHTTPRequestHandler):
    """A web server that is not nice."""

    pages: ClassVar[dict[str, str]] = {
        "/": '<a href="a.jpg">a</a><a href="../../x.jpg">x</a><a href="sub/">s</a>'
        '<a href="http://other.example/evil.jpg">o</a><a href="/top.jpg">t</a>'
        '<a href="?C=N">sort</a><a href="b%20c.jpg#part">b</a><a href="deep/down.jpg">d</a>',
    }
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Site.asked.append(self.path)
        path = self.path.removeprefix("/site") or "/"
        if path == "/endless.jpg":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                return
        if path == "/moved.jpg":
            self.send_response(302)
            self.send_header("Location", "/site/a.jpg")
            self.end_headers()
            return
        if path == "/slow.jpg":
            self.server.released.wait(20)  # type: ignore[attr-defined]
        if path == "/denied.jpg":
            self.send_error(403)
            return
        body = self.pages.get(path, "").encode() or {"/a.jpg": b"content"}.get(path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"tag"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    pytest.importorskip("aiohttp")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/site"
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def at(site: str, name: str) -> UrlPath:
    path = as_path(f"{site}/{name}" if name else site)
    assert isinstance(path, UrlPath)
    return path


def test_a_web_server_is_read(site: str) -> None:
    assert read_bytes(at(site, "a.jpg"), Limits()) == b"content"
    seen = urls.look(at(site, "a.jpg"))
    assert (seen.name, seen.folder, seen.size) == ("a.jpg", False, 7)
    assert seen.changed != 0
    assert urls.kind(at(site, "")) == "folder"
    assert urls.kind(at(site, "gone.jpg")) is None


def test_only_what_lies_in_the_folder_is_listed(site: str) -> None:
    found = {each.name: each.folder for each in urls.entries(at(site, ""))}
    assert found == {"a.jpg": False, "sub": True, "b%20c.jpg": False}


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("gone.jpg", ImageMissingError, "no such file"),
        ("denied.jpg", ImageError, "the server answers 403"),
        ("moved.jpg", ImageError, "the server answers 302"),
        ("endless.jpg", ImageError, "too large"),
    ],
)
def test_what_a_web_server_does_not_give(
    site: str, name: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_bytes(at(site, name), Limits(max_bytes=10**6))


def test_redirects_are_not_followed(site: str) -> None:
    Site.asked.clear()
    with pytest.raises(ImageError):
        read_bytes(at(site, "moved.jpg"), Limits())
    assert Site.asked == ["/site/moved.jpg"]


def test_a_slow_server_is_given_up(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "SECONDS", 0.3)
    fsspec.get_filesystem_class("http").clear_instance_cache()
    try:
        with pytest.raises(ImageError, match=r"took longer than 0\.3 s"):
            read_bytes(at(site, "slow.jpg"), Limits())
    finally:
        fsspec.get_filesystem_class("http").clear_instance_cache()


def test_a_text_is_never_fetched(site: str) -> None:
    Site.asked.clear()
    for text in (f"{site}/a.jpg", f"{site}/a.jpg".encode()):
        with pytest.raises(ImageError):
            load(text)  # type: ignore[arg-type]
    assert Site.asked == []


def test_a_name_is_no_chain_of_file_systems(site: str) -> None:
    """To fsspec, ``zip://x::file:///y`` is a file in an archive that lies elsewhere."""
    Site.asked.clear()
    with pytest.raises(ImageMissingError):
        read_bytes(at(site, "a.jpg::file:/etc/hostname"), Limits())
    assert Site.asked == ["/site/a.jpg::file:/etc/hostname"]


def test_memory_is_read_within_limits() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/urls/a.jpg", b"x" * 100)
    memory.pipe("/urls/b/c.jpg", b"y")
    path = as_path("memory://urls/a.jpg")
    assert isinstance(path, UrlPath)
    assert read_bytes(path, Limits(max_bytes=100)) == b"x" * 100
    with pytest.raises(ImageError, match="too large"):
        read_bytes(path, Limits(max_bytes=99))
    assert {(e.name, e.folder) for e in urls.entries(path.parent)} == {
        ("a.jpg", False),
        ("b", True),
    }
    before = urls.look(path)
    memory.pipe("/urls/a.jpg", b"z" * 100)
    assert urls.look(path).modified != before.modified
    with pytest.raises(ImageMissingError):
        read_bytes(path.with_name("none.jpg"), Limits())
