"""The client where there is no server that answers well; with one it is tested in tests/web."""

from __future__ import annotations

import socket
import threading

import pytest

from glocal.client import Client, ServerError


@pytest.mark.parametrize("address", ["", "localhost:8470", "ftp://localhost/", "http://"])
def test_an_invalid_address_is_refused(address: str) -> None:
    with pytest.raises(ServerError, match="is not the address"):
        Client(address)


def test_no_server_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerError, match="cannot reach") as caught:
        Client(f"http://127.0.0.1:{port}").info()
    assert caught.value.status == 0


@pytest.mark.parametrize(
    ("answer", "said", "status"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", "status 502", 502),
        (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n[]", "status 404", 404),
        (b"nonsense", "cannot reach", 0),
        (b"", "cannot reach", 0),
    ],
)
def test_something_else_answers(answer: bytes, said: str, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ServerError, match=said) as caught:
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}").info()
        thread.join()
    assert caught.value.status == status


def test_a_query_that_cannot_be_read_is_the_callers_fault() -> None:
    with pytest.raises(FileNotFoundError):
        Client("http://127.0.0.1:1").search("/no/such/image.jpg")
