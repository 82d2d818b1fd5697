"""Index runs over HTTP: allowed folders only, followed live, cancelled without harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server, photo, problem, run_glocal, wait_until

from glocal.client import ServerError


def test_a_run_adds_what_is_new(own_home: Path, start: Callable[..., Server]) -> None:
    folder = own_home / "more"
    (folder / "below").mkdir(parents=True)
    for seed in range(100, 120):
        (folder / "below" / f"{seed}.jpg").write_bytes(photo(seed))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    client = start(own_home, "--allow-folder", folder).client()
    states = list(client.follow(client.index(str(folder / "below")).id))
    assert states[-1].state == "done"
    assert states[-1].report is not None
    assert states[-1].report.added == 20
    run = client.index(str(folder))
    *_, last = client.follow(run.id)
    assert last.report is not None
    assert len(last.report.failed) == 1
    assert last.report.failed[0].path == folder / "broken.jpg"
    assert client.search(photo(110), limit=1).hits[0].path.name == "110.jpg"
    assert client.info().images == 31


def test_only_allowed_folders_are_indexed(server: Server, home: Path) -> None:
    inside = home / "images" / "trip"
    link = home / "images" / "way-out"
    if not link.is_symlink():
        link.symlink_to("/etc")
    refused = [
        "/etc", "/", str(home), str(home / "images"), str(inside / ".." / ".."), "", ".", "trip",
        str(inside) + "-other", str(link), "\x00", "~", "//etc", str(home / "nothing" / "here"),
        "s3://bucket/photos", "http://127.0.0.1/photos", "memory://photos", "file:///etc",
    ]  # fmt: skip
    for folder in refused:
        body = json.dumps({"folder": folder}).encode()
        headers = {"Content-Type": "application/json", "X-Glocal": "1"}
        answer = server.ask("POST", "/v1/index-runs", body, headers)
        problem(answer, 422 if folder == "" else 403)
    with pytest.raises(ServerError, match="folder does not exist"):
        server.client().index(str(inside / "missing"))


def test_a_run_can_be_cancelled(own_home: Path, start: Callable[..., Server]) -> None:
    folder = own_home / "many"
    folder.mkdir()
    for seed in range(200):
        (folder / f"{seed}.jpg").write_bytes(photo(seed, size=(480, 360)))
    client = start(own_home, "--allow-folder", folder).client()
    run = client.index(str(folder))
    assert client.index(str(folder)).id == client.index(str(folder)).id  # the one that waits
    for state in client.follow(run.id):
        if state.progress and state.progress.stage == "encode" and state.progress.done > 10:
            break
    client.cancel(run.id)
    *_, last = client.follow(run.id)
    assert last.state == "cancelled"
    *_, again = client.follow(client.index(str(folder)).id)
    assert again.report is not None
    assert again.report.added + again.report.unchanged == 200
    assert again.report.unchanged > 0  # what was done before was kept
    assert client.cancel(again.id).state == "done"


def test_other_commands_work_beside_a_server(own_home: Path, start: Callable[..., Server]) -> None:
    client = start(own_home).client()
    folder = own_home / "beside"
    folder.mkdir()
    (folder / "new.jpg").write_bytes(photo(200))
    said = run_glocal("index", folder, home=own_home).stdout
    assert said.startswith("1 added")
    hits = json.loads(
        run_glocal("search", folder / "new.jpg", "--json", "-n", "1", home=own_home).stdout
    )["hits"]
    assert hits[0]["evidence"]["verdict"] == "identical_file"
    assert client.search(photo(200), limit=1).hits[0].path == folder / "new.jpg"
    assert json.loads(run_glocal("info", "--json", home=own_home).stdout)["images"] == 12
    run_glocal("check", home=own_home)
    run_glocal("remove", folder / "new.jpg", home=own_home)
    assert client.info().images == 11


def test_a_server_takes_over_from_a_command_that_ends(
    own_home: Path, start: Callable[..., Server]
) -> None:
    first, second = start(own_home), start(own_home)
    assert second.client().search(photo(0), limit=1).hits
    first.stop()
    assert second.client().search(photo(0), limit=1).hits


def test_a_run_ends_with_its_server(own_home: Path, start: Callable[..., Server]) -> None:
    folder = own_home / "many"
    folder.mkdir()
    for seed in range(300):
        (folder / f"{seed}.jpg").write_bytes(photo(seed, size=(480, 360)))
    server = start(own_home, "--allow-folder", folder)
    run = server.client().index(str(folder))
    wait_until(lambda: server.client().index_run(run.id).state == "running")
    assert server.stop()[0] == 0
    holder = own_home / "gallery" / "write.lock.json"
    wait_until(lambda: not holder.exists() or not _lives(json.loads(holder.read_text())["pid"]))
    run_glocal("check", home=own_home)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
