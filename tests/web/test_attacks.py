"""Attacks, each tried on a real server."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from running import TOKEN, Server, form, photo, problem, read_all, wait_until

from glocal.cli.serve import serve
from glocal.client import ServerError


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A server with small bounds and a gallery of two images."""
    from glocal.gallery import Gallery

    home = tmp_path_factory.mktemp("tight")
    (home / "images").mkdir()
    for seed in range(2):
        (home / "images" / f"{seed}.jpg").write_bytes(photo(seed))
    with Gallery(home / "gallery") as gallery:
        gallery.add(home / "images")
    bounds = {
        "body_bytes": 200_000,
        "body_seconds": 1.5,
        "limits": [100_000, 1_000_000],
        "decode_seconds": 3.0,
        "searches": 1,
        "waiting": 2,
        "most_images": 3,
    }
    server = Server(home, tight=bounds)
    yield server
    assert server.stop()[0] == 0


def alive(server: Server) -> None:
    body, headers = form(("image", photo(0)))
    assert server.ask("POST", "/v1/search", body, headers)[0] == 200


# Files


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/assets/../settings.py",
        "/assets/%2e%2e/settings.py",
        "/assets/..%2fsettings.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/..\\settings.py",
        "/assets/index.html%00.js",
        "/v1/images/../../../../etc/passwd/file",
        "/v1/images/..%2f..%2f..%2fetc%2fpasswd/file",
        "/v1/images/%2fetc%2fpasswd/file",
        "/v1/images/" + "0" * 32 + "%00/file",
        "/v1/images/" + "0" * 31 + "%0a/file",
        "/v1/index-runs/..%2f../events",
    ],
)
def test_traversal(server: Server, path: str) -> None:
    status, _, body = server.ask("GET", path)
    assert status in (404, 422)
    assert b"root:" not in body
    assert b"class Settings" not in body


def test_a_file_swapped_for_a_link(own_home: Path, start: Callable[..., Server]) -> None:
    secret = own_home / "secret.jpg"
    secret.write_bytes(photo(77))
    client = start(own_home).client()
    ids = {one.path.name: one.id for one in client.images()}
    images = own_home / "images"
    original = (images / "0.jpg").read_bytes()
    # A link out of the folder: refused even where the bytes are the image's.
    (own_home / "outside.jpg").write_bytes(original)
    (images / "0.jpg").unlink()
    (images / "0.jpg").symlink_to(own_home / "outside.jpg")
    (images / "1.jpg").unlink()
    (images / "1.jpg").symlink_to(secret)
    (images / "2.jpg").unlink()
    (images / "2.jpg").symlink_to("/etc/passwd")
    (images / "3.jpg").unlink()
    os.mkfifo(images / "3.jpg")  # reading it would wait for ever
    (images / "4.jpg").unlink()
    (images / "4.jpg").symlink_to(images / "4.jpg")  # a loop
    for name in ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        for ask in (client.file, client.thumbnail, lambda i: client.search(query=i)):
            with pytest.raises(ServerError) as caught:
                ask(ids[name])
            assert caught.value.status == 410


def test_a_folder_swapped_for_a_link(own_home: Path, start: Callable[..., Server]) -> None:
    client = start(own_home).client()
    name = next(one.id for one in client.images() if one.path.name == "turned.jpg")
    trip = own_home / "images" / "trip"
    trip.rename(own_home / "elsewhere")
    trip.symlink_to(own_home / "elsewhere")
    with pytest.raises(ServerError) as caught:
        client.file(name)
    assert caught.value.status == 410


# Who asks


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8470", "127.0.0.1.evil.example", "localhost@evil.example",
     "127.0.0.2", "[::2]", "0", "localhost:x", "a/b", "localhost, evil.example"],
)  # fmt: skip
def test_a_foreign_host_header(server: Server, host: str) -> None:
    answer = server.ask("GET", "/v1/info", None, {"Host": host})
    problem(answer, answer[0])
    assert answer[0] in (400, 421)


def test_a_host_header_missing_or_twice(server: Server) -> None:
    assert b" 400 " in server.raw(b"GET /v1/info HTTP/1.1\r\nConnection: close\r\n\r\n")
    twice = b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n"
    assert b" 400 " in server.raw(twice)
    old = b"GET /v1/info HTTP/1.0\r\n\r\n"
    assert b" 400 " in server.raw(old)


def test_our_own_names_are_answered(server: Server) -> None:
    for host in ("localhost", "LOCALHOST.:1234", "127.0.0.1:80", "[::1]:8470"):
        assert server.ask("GET", "/v1/info", None, {"Host": host})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "https://evil.example", "X-Glocal": "1"},
        {"Sec-Fetch-Site": "cross-site", "X-Glocal": "1"},
        {"Sec-Fetch-Site": "same-site", "X-Glocal": "1"},
    ],
)
def test_a_page_of_another_site_changes_nothing(server: Server, headers: dict[str, str]) -> None:
    body, kind = form(("image", photo(0)))
    asked = [
        ("DELETE", "/v1/images/" + "0" * 32, None, {}),
        ("POST", "/v1/index-runs", b'{"folder": "/"}', {"Content-Type": "application/json"}),
        ("POST", "/v1/index-runs", b'{"folder": "/"}', {"Content-Type": "text/plain"}),
        ("POST", "/v1/images", body, kind),
        ("POST", "/v1/login", b'{"token": "x"}', {"Content-Type": "application/json"}),
    ]
    for method, path, data, more in asked:
        problem(server.ask(method, path, data, more | headers), 403)
    if "Origin" in headers:
        for path in ("/v1/search", "/v1/search/batch"):
            problem(server.ask("POST", path, body, kind | headers), 403)


def test_the_page_itself_may(server: Server) -> None:
    own = {"Origin": server.address}
    problem(server.ask("DELETE", "/v1/images/" + "0" * 32, None, own), 404)
    problem(server.ask("DELETE", "/v1/images/" + "0" * 32, None, {"X-Glocal": "1"}), 404)


# The token


def test_nothing_of_the_gallery_without_the_token(guarded: Server) -> None:
    ids = "0" * 32
    own = {"X-Glocal": "1"}
    for method, path in [
        ("GET", "/v1/info"), ("GET", "/v1/images"), ("GET", f"/v1/images/{ids}/file"),
        ("GET", f"/v1/images/{ids}/thumbnail"), ("GET", "/v1/facets"), ("GET", "/metrics"),
        ("GET", "/v1/index-runs"), ("GET", "/v1/explanation"), ("GET", "/v1/duplicates"),
        ("POST", "/v1/search"), ("POST", "/v1/search/batch"),
        ("DELETE", f"/v1/images/{ids}"), ("GET", "/v1/openapi.json"),
        ("GET", "/v1/nothing"), ("GET", "/v1"),
    ]:  # fmt: skip
        answer = guarded.ask(method, path, None, own)
        problem(answer, 401)
        assert answer[1]["www-authenticate"].startswith("Bearer")
    for path in ("/v1/health", "/v1/ready"):
        assert guarded.ask("GET", path)[0] == 200


@pytest.mark.parametrize(
    "shown",
    ["Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
     "Bearer \xff", f"Bearer {TOKEN.upper()}"],
)  # fmt: skip
def test_a_wrong_token(guarded: Server, shown: str) -> None:
    problem(guarded.ask("GET", "/v1/info", None, {"Authorization": shown}), 401)


def test_a_token_in_the_address_is_none(guarded: Server) -> None:
    problem(guarded.ask("GET", f"/v1/info?token={TOKEN}"), 401)


def test_the_cookie_of_the_page(guarded: Server) -> None:
    own = {"Origin": guarded.address, "Content-Type": "application/json"}
    body = json.dumps({"token": TOKEN}).encode()
    status, headers, _ = guarded.ask("POST", "/v1/login", body, own)
    assert status == 204
    said = headers["set-cookie"]
    assert "HttpOnly" in said
    assert re.search("samesite=strict", said, re.IGNORECASE)
    assert TOKEN not in said
    cookie = {"Cookie": said.split(";")[0]}
    assert guarded.ask("GET", "/v1/info", None, cookie)[0] == 200
    # The cookie alone changes nothing: another site's page would send it, were it not Strict.
    problem(guarded.ask("DELETE", "/v1/images/" + "0" * 32, None, cookie), 403)
    foreign = cookie | {"Origin": "https://evil.example"}
    problem(guarded.ask("DELETE", "/v1/images/" + "0" * 32, None, foreign), 403)
    assert guarded.ask("POST", "/v1/logout", None, cookie | own)[0] == 204
    problem(guarded.ask("GET", "/v1/info", None, cookie), 401)
    problem(guarded.ask("GET", "/v1/info", None, {"Cookie": "glocal_session=x"}), 401)


def test_guessing_the_token(home: Path, start: Callable[..., Server]) -> None:
    server = start(home, env={"GLOCAL_TOKEN": TOKEN})
    own = {"Origin": server.address, "Content-Type": "application/json"}
    statuses = [server.ask("POST", "/v1/login", b'{"token": "guess"}', own)[0] for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2


def test_a_token_for_reading_changes_nothing(home: Path, start: Callable[..., Server]) -> None:
    read = "another-token-for-tests-0123"
    tokens = {"GLOCAL_TOKEN": TOKEN, "GLOCAL_READ_TOKEN": read}
    server = start(home, "--allow-folder", home, "--upload-folder", home, env=tokens)
    reader, owner = server.client(token=read), server.client(token=TOKEN)
    name = next(reader.images()).id
    asked: list[Callable[[], object]] = [
        lambda: reader.remove(name),
        lambda: reader.index(str(home)),
        lambda: reader.add(photo(1)),
        lambda: reader.keep(reader.image(name)),
    ]
    for ask in asked:
        with pytest.raises(ServerError, match="this token lets read only") as caught:
            ask()
        assert caught.value.status == 403
    assert reader.search(photo(0), limit=1).hits
    assert reader.table([reader.image(name)])
    allowed = (reader.info().features, owner.info().features)
    assert [(f.removing, f.deciding, f.index_runs, f.uploads) for f in allowed] == [
        (False,) * 4,
        (True,) * 4,
    ]
    # The same by the cookie that the page gets for it.
    own = {"Origin": server.address, "Content-Type": "application/json"}
    body = json.dumps({"token": read}).encode()
    cookie = {"Cookie": server.ask("POST", "/v1/login", body, own)[1]["set-cookie"].split(";")[0]}
    assert server.ask("GET", "/v1/images", None, cookie)[0] == 200
    problem(server.ask("DELETE", f"/v1/images/{name}", None, cookie | own), 403)
    assert owner.image(name).id == name


def test_a_token_for_reading_needs_another_one() -> None:
    """Beside none, or the same twice, it would be a door that only looks shut."""
    for tokens in ({"GLOCAL_TOKEN": ""}, {"GLOCAL_TOKEN": TOKEN}):
        result = CliRunner().invoke(serve, env=tokens | {"GLOCAL_READ_TOKEN": TOKEN})
        assert result.exit_code == 2
        assert "the token for reading goes with another one" in result.output


def test_a_token_that_a_proxy_adds_lets_no_other_site_in(guarded: Server) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    gone = "/v1/images/" + "0" * 32
    problem(guarded.ask("DELETE", gone, None, bearer), 404)
    problem(guarded.ask("DELETE", gone, None, bearer | {"Origin": "https://evil.example"}), 403)
    problem(guarded.ask("DELETE", gone, None, bearer | {"Sec-Fetch-Site": "cross-site"}), 403)


def test_a_server_that_changes_nothing(home: Path, start: Callable[..., Server]) -> None:
    options = ("--read-only", "--allow-folder", home, "--upload-folder", home)
    server = start(home, *options, "--allow-host", "search.example", env={"GLOCAL_TOKEN": TOKEN})
    client = server.client(token=TOKEN)
    name = next(client.images()).id
    asked: list[Callable[[], object]] = [
        lambda: client.remove(name),
        lambda: client.index(str(home)),
        lambda: client.add(photo(1)),
    ]
    for ask in asked:
        with pytest.raises(ServerError, match="--read-only"):
            ask()
    assert client.search(photo(0), limit=1).hits
    assert client.info().features.index_runs is False
    named = {"Host": "search.example", "Authorization": f"Bearer {TOKEN}"}
    assert server.ask("GET", "/v1/info", None, named)[0] == 200


# Bodies


def test_a_body_that_says_it_is_giant(tight: Server) -> None:
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    for length in (200_001, 10**12, 10**30):
        answer = tight.raw(head % length)
        assert b" 413 " in answer or b" 400 " in answer
    alive(tight)


def test_a_body_that_grows_giant(tight: Server) -> None:
    with socket.create_connection(("127.0.0.1", tight.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=M\r\n\r\n"
        )
        begun = b'--M\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n'
        connection.sendall(b"%x\r\n" % len(begun) + begun + b"\r\n")
        chunk = b"%x\r\n" % 50_000 + b"x" * 50_000 + b"\r\n"
        try:
            for _ in range(50):
                connection.sendall(chunk)
        except ConnectionError:
            pass
        else:
            assert b" 413 " in read_all(connection)
    alive(tight)


def test_an_image_that_is_too_large(tight: Server) -> None:
    problem(tight.ask("POST", "/v1/search", *form(("image", b"\xff" * 150_000))), 413)
    many = [("like", photo(0))] * 4
    problem(tight.ask("POST", "/v1/search", *form(*many)), 400)
    fields = [("like", "0" * 32)] * 101
    problem(tight.ask("POST", "/v1/search", *form(*fields)), 400)


def bomb(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb(tight: Server, server: Server) -> None:
    said = problem(tight.ask("POST", "/v1/search", *form(("image", bomb(60_000, 60_000)))), 422)
    assert "million pixels" in said["detail"]
    # 300 MB of pixels in 300 kB: within no bound of pixels, whatever the body's size.
    squeezed = zlib.compress(b"\0" * (30_001 * 10_000), 9)
    problem(server.ask("POST", "/v1/search", *form(("image", bomb(10_000, 10_000, squeezed)))), 422)
    # A text chunk that unpacks to gigabytes.
    image = photo(0, kind="PNG")
    text = b"zTXta\0\0" + zlib.compress(b"\0" * 50_000_000, 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    status = tight.ask("POST", "/v1/search", *form(("image", image[:33] + chunk + image[33:])))
    assert status[0] in (200, 422)
    before = tight.rss()
    alive(tight)
    assert before < 600 * 2**20


def test_truncated_and_damaged_images(server: Server) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        whole = photo(3, kind=kind)
        for part in (whole[: len(whole) // 2], whole[:20], whole[:4], b"x" + whole):
            status, headers, body = server.ask("POST", "/v1/search", *form(("image", part)))
            assert status in (200, 422), (kind, status)
            if status == 422:
                problem((status, headers, body), 422)


def test_truncated_forms(tight: Server) -> None:
    body, headers = form(("image", photo(0)))
    for part in (body[:-20], body[:30], b"", b"--MARK", b"--MARK\r\n\r\n", b"\x00" * 100):
        answer = tight.ask("POST", "/v1/search", part, headers)
        problem(answer, answer[0])
        assert answer[0] in (400, 422)
    for more in ("boundary=", "boundary=" + "x" * 10_000, 'boundary="', "charset=x; boundary=M"):
        kind = f"multipart/form-data; {more}"
        answer = tight.ask("POST", "/v1/search", body, {"Content-Type": kind})
        problem(answer, answer[0])
        assert answer[0] in (400, 422)


def test_a_body_that_never_ends(tight: Server) -> None:
    answer = tight.raw(
        b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        b"Content-Type: multipart/form-data; boundary=M\r\n\r\n--M\r\n"
    )
    assert b" 408 " in answer


def closes_under(connection: socket.socket, drops: bytes, *, every: float) -> bool:
    """Whether the server closes a connection on which a little arrives again and again."""
    for _ in range(int(90 / every)):  # fewer bytes than were announced
        try:
            connection.sendall(drops)
        except ConnectionError:
            return True
        time.sleep(every)
    return False


def test_a_body_a_byte_at_a_time(tight: Server) -> None:
    with socket.create_connection(("127.0.0.1", tight.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        assert closes_under(connection, b" ", every=0.1)
    alive(tight)


def test_headers_that_never_end(tight: Server) -> None:
    with socket.create_connection(("127.0.0.1", tight.port), timeout=30) as connection:
        connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\n")
        assert closes_under(connection, b"X-More: 1\r\n", every=0.5)


def test_headers_that_are_giant(tight: Server) -> None:
    with socket.create_connection(("127.0.0.1", tight.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        answer = b""
        try:
            for _ in range(100):
                connection.sendall(b"X: " + b"x" * 50_000)
            answer = read_all(connection)
        except ConnectionError:
            pass
    assert answer == b"" or b" 400 " in answer
    alive(tight)


# HTTP itself


def test_headers_cannot_be_put_into_answers(server: Server) -> None:
    for path in ("/v1/images?cursor=a%0d%0aX-Evil:%201", "/%0d%0aX-Evil:%201",
                 "/v1/index-runs/%0d%0aX-Evil:%201", "/assets/%0d%0aX-Evil:1"):  # fmt: skip
        _, headers, _ = server.ask("GET", path)
        assert "x-evil" not in headers
    bare = b"X: a\rX-Evil: 1\r\n"
    answer = server.raw(
        b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\n" + bare + b"Connection: close\r\n\r\n"
    )
    assert b"X-Evil" not in answer


def test_two_requests_in_one(server: Server) -> None:
    smuggled = (
        b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n"
        b"Host: localhost\r\n\r\n"
    )
    assert b"glocal_requests" not in server.raw(smuggled)
    for length in (b"-1", b"+5", b"5, 6", b"0x5", b"5\r\nContent-Length: 6"):
        answer = server.raw(
            b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: " + length + b"\r\n\r\nhello"
        )
        assert answer == b"" or b" 400 " in answer


@pytest.mark.parametrize(
    "said", ["bytes=0-1", "bytes=-1", "bytes=9999999999-", "bytes=5-2", "bytes=0-0,1-1," * 500,
             "bytes=--", "lines=1-2", "bytes=0-" + "9" * 400],
)  # fmt: skip
def test_a_range_that_makes_no_sense(server: Server, said: str) -> None:
    name = next(server.client().images()).id
    status, _, body = server.ask("GET", f"/v1/images/{name}/file", None, {"Range": said})
    assert status == 200
    with Image.open(io.BytesIO(body)) as image:
        image.load()


def test_every_answer_has_the_safe_headers(server: Server) -> None:
    name = next(server.client().images()).id
    paths = ["/", "/v1/info", "/v1/nothing", f"/v1/images/{name}/file", "/v1/health"]
    for path in paths:
        _, headers, _ = server.ask("GET", path)
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    _, headers, _ = server.ask("GET", "/v1/info", None, {"Host": "evil.example"})
    assert "content-security-policy" in headers


# Too much at once


def test_more_than_the_server_can_do(tight: Server) -> None:
    statuses: list[int] = []
    body, headers = form(("image", photo(0, size=(900, 900))))

    def search() -> None:
        status, fields, _ = tight.ask("POST", "/v1/search", body, headers)
        statuses.append(status)
        if status == 429:
            assert fields["retry-after"] == "1"

    threads = [threading.Thread(target=search) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429}
    alive(tight)


def test_clients_that_leave(tight: Server) -> None:
    body, headers = form(("image", photo(0, size=(900, 900))))
    head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for cut in (len(request), len(request) - 10, len(head), 20):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", tight.port), timeout=5) as connection:
                connection.sendall(request[:cut])
    wait_until(lambda: b"glocal_requests_under_way 1.0" in tight.ask("GET", "/metrics")[2])
    alive(tight)
