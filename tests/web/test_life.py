"""How a server starts and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from running import Server, environment, form, photo, problem, run_glocal, wait_until

import forked
from glocal.client import IndexRun
from glocal.web.server import bind


def test_sigterm_lets_requests_end(own_home: Path, start: Callable[..., Server]) -> None:
    server = start(own_home)
    body, headers = form(("image", photo(3)))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        lines = [
            "POST /v1/search HTTP/1.1",
            "Host: localhost",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body[:100])
        two = b"glocal_requests_under_way 2.0"  # this one, and the one for the metrics
        wait_until(lambda: two in server.ask("GET", "/metrics")[2])
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(server.port))
        assert server.process.poll() is None
        connection.sendall(body[100:])
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert server.stop() == (0, "")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionError:
        return False
    return True


def test_followers_do_not_hold_the_end_up(own_home: Path, start: Callable[..., Server]) -> None:
    folder = own_home / "many"
    folder.mkdir()
    for seed in range(300):
        (folder / f"{seed}.jpg").write_bytes(photo(seed, size=(640, 480)))
    server = start(own_home, "--allow-folder", folder)
    client = server.client()
    run = client.index(str(folder))
    followed: list[IndexRun] = []

    def follow() -> None:
        for seen in client.follow(run.id):
            followed.append(seen)  # noqa: PERF402 - each when it comes

    follower = threading.Thread(target=follow)
    follower.start()
    wait_until(lambda: bool(followed) and client.index_run(run.id).state == "running")
    assert server.stop()[0] == 0
    follower.join(timeout=60)
    assert followed
    assert followed[-1].state != "done"  # the server did not wait for the run


def test_sigkill_loses_nothing(own_home: Path, start: Callable[..., Server]) -> None:
    server = start(own_home)
    name = next(server.client().images()).id
    assert server.client().remove(name) >= 1
    server.stop(signal.SIGKILL)
    run_glocal("check", home=own_home)
    again = start(own_home)
    assert again.client().info().images == 10


def test_processes_that_die_are_replaced_and_none_is_left_over(
    own_home: Path, start: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    server = start(own_home, "--processes", "2", env={"TMPDIR": str(tmp_path / "temporary")})
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")

    def those_that(do: bytes) -> list[Path]:
        commands = [Path(f"/proc/{pid}/cmdline") for pid in children.read_text().split()]
        return [command for command in commands if do in command.read_bytes()]

    searching = those_that(b"spawn_main")
    assert (len(searching), len(those_that(b"decode_child"))) == (2, 4)
    os.kill(int(searching[0].parent.name), signal.SIGKILL)
    assert server.ask("POST", "/v1/search", *form(("image", photo(3))))[0] == 200
    assert not {*those_that(b"spawn_main")} & {*searching}
    left = [*those_that(b"spawn_main"), *those_that(b"decode_child")]
    server.stop(signal.SIGKILL)
    wait_until(lambda: not any(b"python" in _command(each) for each in left))
    assert not list((tmp_path / "temporary").iterdir())


def _command(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_health_readiness_metrics_and_info(server: Server) -> None:
    assert json.loads(server.ask("GET", "/v1/health")[2]) == {"status": "ok"}
    assert json.loads(server.ask("GET", "/v1/ready")[2]) == {"status": "ok"}
    server.ask("POST", "/v1/search", *form(("image", photo(3))))
    server.ask("GET", "/no/such/route")
    text = server.ask("GET", "/metrics")[2].decode()
    assert "glocal_images 11.0" in text
    assert 'glocal_search_stage_seconds_count{stage="encode"}' in text
    assert 'route="/v1/search",status="200"' in text
    assert "/no/such" not in text  # what clients invent is no label
    info = server.client().info()
    assert (info.images, info.files) == (11, 12)
    assert info.features.index_runs is True
    assert info.features.login is False


def test_what_cannot_be_served_says_why(own_home: Path, server: Server) -> None:
    short = own_home / "short"
    short.write_text("guess-me\n")
    cases = [
        (["--host", "0.0.0.0"], "set a token"),  # noqa: S104 - it is refused
        (["--allow-host", "search.example"], "set a token"),
        (["--token-file", str(short)], "is too short"),
        (["--token-file", str(own_home / "missing")], "cannot be read"),
        (["--port", str(server.port)], "choose another --port"),
        (["--host", "192.0.2.1", "--token-file", str(own_home / "good")], "can listen"),
    ]
    (own_home / "good").write_text("0123456789abcdef0123\n")
    for options, said in cases:
        done = forked.run(["serve", "--port", "0", *options], env=environment(own_home))
        assert done.returncode in (1, 2)
        assert said in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr


def test_an_unknown_address_is_a_problem(server: Server) -> None:
    problem(server.ask("GET", "/v1/nothing"), 404)
    problem(server.ask("GET", "/assets/nothing.js"), 404)
    problem(server.ask("PUT", "/v1/info", b"", {"X-Glocal": "1"}), 405)


def test_answers_are_not_held_back_for_acknowledgements() -> None:
    """Else every answer in two pieces would take 40 ms longer."""

    async def delays() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def met(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            seen.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = bind("127.0.0.1", 0)
        async with await asyncio.start_server(met, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            try:
                return await asyncio.wait_for(seen, 10)
            finally:
                writer.close()

    assert asyncio.run(delays()) == 1
