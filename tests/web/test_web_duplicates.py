"""Duplicates over HTTP: at once by bytes, and by a comparison in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import scenes
from running import Server, problem, wait_until

from glocal.client import ServerError
from glocal.gallery import DuplicateGroup, DuplicateImage, Gallery, GroupKind, Progress
from glocal.gallery.duplicates import Level
from glocal.gallery.results import plain
from glocal.ranking.evidence import Verdict
from glocal.web.compare_child import encoded
from glocal.web.comparisons import Comparison

COMPARISONS = "/v1/duplicates/comparisons"
JSON = {"Content-Type": "application/json", "X-Glocal": "1"}


def fill_with_scenes(home: Path, count: int) -> Path:
    """Scenes; of the third a crop, of the ninth another encoding and an identical file."""
    images = home / "images"
    scenes.write(images, range(count))
    (images / "crop-003.jpg").write_bytes(scenes.altered(3))
    scenes.scene(9).save(images / "again-009.webp", quality=60)
    shutil.copy(images / "again-009.webp", images / "one-more-again-009.webp")
    with Gallery(home / "gallery") as gallery:
        assert gallery.add(images).added == count + 3
    return home


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a gallery that is compared in a moment; no test changes it."""
    return fill_with_scenes(tmp_path_factory.mktemp("few"), 12)


@pytest.fixture(scope="module")
def scenery(few: Path) -> Iterator[Server]:
    running = Server(few)
    yield running
    assert running.stop() == (0, "")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a gallery that takes a while to compare; no test changes it."""
    return fill_with_scenes(tmp_path_factory.mktemp("many"), 60)


def ask(server: Server, query: str = "") -> dict[str, Any]:
    status, _, body = server.ask("GET", f"/v1/duplicates{query}")
    assert status == 200, body
    value: dict[str, Any] = json.loads(body)
    return value


def begin(server: Server, level: str = "copy") -> str:
    """Have all images compared; returns the state."""
    status, _, body = server.ask("POST", COMPARISONS, json.dumps({"level": level}).encode(), JSON)
    assert status == 202, body
    answer = json.loads(body)
    assert answer["level"] == level
    return str(answer["state"])


def found(server: Server, level: str) -> dict[str, Any]:
    """The first page, once there is one."""
    begin(server, level)
    wait_until(lambda: ask(server, f"?level={level}")["state"] == "done", 60)
    return ask(server, f"?level={level}")


def comparing(server: Server) -> list[int]:
    """The processes that compare for a server."""
    pid = server.process.pid
    children: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children += (task / "children").read_text().split()
        except FileNotFoundError:  # the thread has ended
            continue
    return [int(child) for child in children if is_comparison(int(child))]


def is_comparison(pid: int) -> bool:
    try:
        return b"compare_child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def counted(server: Server, level: str, end: str) -> float:
    """Comparisons that came to an end."""
    name = f'glocal_comparisons_total{{end="{end}",level="{level}"}} '
    for line in server.ask("GET", "/metrics")[2].decode().splitlines():
        if line.startswith(name):
            return float(line.removeprefix(name))
    return 0.0


def names(group: dict[str, Any]) -> list[str]:
    return [one["name"] for one in group["images"]]


def test_identical_files_come_at_once(scenery: Server, few: Path) -> None:
    page = ask(scenery)
    (group,) = page["groups"]
    (one,) = group["images"]
    kept = few / "images" / "again-009.webp"
    assert (page["level"], page["state"], page["total"], page["next"]) == (
        "identical", "done", 1, None,
    )  # fmt: skip
    assert group["kind"] == "identical"
    assert one["path"] == str(kept)
    assert one["paths"] == [str(kept), str(kept.with_name("one-more-again-009.webp"))]
    assert one["spare"] == [str(kept.with_name("one-more-again-009.webp"))]
    assert group["bytes_to_free"] == kept.stat().st_size
    assert page["bytes_to_free"] is None  # the catalogue cannot tell: files may be one by now
    assert ask(scenery, "?level=identical") == page
    assert comparing(scenery) == []


def test_copies_are_found_and_nothing_else(scenery: Server, few: Path) -> None:
    page = found(scenery, "copy")
    groups = {group["images"][0]["name"]: group for group in page["groups"]}
    assert {name: names(group)[1:] for name, group in groups.items()} == {
        "scene-003.jpg": ["crop-003.jpg"],
        "scene-009.jpg": ["again-009.webp"],
    }
    assert page["total"] == 2
    assert page["left_out"] == 0
    for group in groups.values():
        first, other = group["images"]
        assert group["kind"] == "copy"
        assert (first["verdict"], first["removable"], first["spare"]) == (None, False, [])
        assert other["verdict"] == "copy"
        assert other["copy_probability"] >= 0.5
        assert other["same_probability"] >= 0.5
        assert other["reason"]
        expected = [p for p in other["paths"] if other["removable"] or p != other["path"]]
        assert other["spare"] == expected
        assert group["bytes_to_free"] == sum(Path(p).stat().st_size for p in expected)
        assert first["position"] is None  # as everywhere: the owner does not show them
    assert page["bytes_to_free"] == sum(group["bytes_to_free"] for group in groups.values())
    assert len(groups["scene-009.jpg"]["images"][1]["paths"]) == 2
    freed = [group["bytes_to_free"] for group in page["groups"]]
    assert freed == sorted(freed, reverse=True)


def test_the_client_returns_what_python_does(scenery: Server, few: Path) -> None:
    for level in ("copy", "object"):
        groups = tuple(scenery.client().duplicates(level))
        with Gallery(few / "gallery", create=False) as gallery:
            expected = gallery.duplicates(level)
        assert len(groups) == len(expected) == 2
        for group, other in zip(groups, expected, strict=True):
            assert rounded(group) == rounded(other)


def rounded(group: DuplicateGroup) -> DuplicateGroup:
    """A group without its positions, which the server hides, and all digits of probabilities."""
    images = tuple(
        replace(
            image,
            position=None,
            same_probability=round(image.same_probability, 4),
            copy_probability=round(image.copy_probability, 4),
        )
        for image in group.images
    )
    return replace(group, images=images)


def test_looking_starts_nothing(many: Path, start: Callable[..., Server]) -> None:
    server = start(many)
    for level in ("copy", "object"):
        page = ask(server, f"?level={level}")
        assert (page["state"], page["groups"], page["progress"]) == ("not_compared", [], None)
    assert comparing(server) == []
    wrong = json.dumps({"level": "identical"}).encode()
    problem(server.ask("POST", COMPARISONS, wrong, JSON), 422)
    foreign = JSON | {"Sec-Fetch-Site": "cross-site"}
    problem(server.ask("POST", COMPARISONS, b'{"level": "copy"}', foreign), 403)
    assert comparing(server) == []


def test_a_server_that_changes_nothing_compares(few: Path, start: Callable[..., Server]) -> None:
    server = start(few, "--read-only")
    assert len(found(server, "copy")["groups"]) == 2


def test_what_was_found_is_kept(scenery: Server) -> None:
    first = found(scenery, "copy")
    before = counted(scenery, "copy", "done")
    assert ask(scenery, "?level=copy") == first
    assert counted(scenery, "copy", "done") == before == 1
    assert comparing(scenery) == []


def test_pages_go_on_where_the_last_one_ended(scenery: Server) -> None:
    whole = found(scenery, "copy")["groups"]
    first = ask(scenery, "?level=copy&limit=1")
    second = ask(scenery, f"?level=copy&limit=1&cursor={first['next']}")
    assert first["groups"] + second["groups"] == whole
    assert (second["next"], second["total"], second["bytes_to_free"]) == (None, None, None)
    for wrong in ("0" * 32, "x", "-1", f"{first['next']}0000000000"):
        problem(scenery.ask("GET", f"/v1/duplicates?level=copy&cursor={wrong}"), 422)
    problem(scenery.ask("GET", f"/v1/duplicates?cursor={first['next']}"), 422)
    problem(scenery.ask("GET", "/v1/duplicates?level=alike"), 422)
    other = f"/v1/duplicates?level=copy&cursor={'0' * 16}-1"
    assert problem(scenery.ask("GET", other), 410)["type"] == "urn:glocal:expired"


def test_the_client_waits_and_tells_the_progress(many: Path, start: Callable[..., Server]) -> None:
    heard: list[Progress] = []
    groups = list(start(many).client().duplicates("copy", page=1, listen=heard.append))
    assert [group.kind for group in groups] == ["copy", "copy"]
    group = next(group for group in groups if len(group.images[1].paths) == 2)
    assert group.images[0].path.name == "scene-009.jpg"
    assert group.images[0].verdict is None
    assert group.images[1].verdict == "copy"
    assert set(group.images[1].spare) >= {group.images[1].paths[1]}
    stages = [one.stage for one in heard]  # those that were seen: it may be over at once
    assert stages == sorted(stages)  # neighbours, then verify
    assert set(stages) <= {"neighbours", "verify"}
    done = [one.done for one in heard if one.stage == "verify"]
    assert done == sorted(done)
    assert all(one.total and one.done <= one.total for one in heard)


def test_identical_files_through_the_client(scenery: Server) -> None:
    (group,) = scenery.client().duplicates()
    assert group.kind == "identical"
    assert len(group.images[0].paths) == 2
    assert len(group.images[0].spare) == 1


def test_another_catalogue_is_compared_anew(tmp_path: Path, start: Callable[..., Server]) -> None:
    home = fill_with_scenes(tmp_path, 12)
    server = start(home)
    page = found(server, "copy")
    crop = next(group for group in page["groups"] if names(group)[1] == "crop-003.jpg")
    cursor = ask(server, "?level=copy&limit=1")["next"]
    server.client().remove(crop["images"][1]["id"])
    assert ask(server, "?level=copy")["state"] == "not_compared"
    again = found(server, "copy")
    assert [names(group)[0] for group in again["groups"]] == ["scene-009.jpg"]
    assert counted(server, "copy", "done") == 2
    problem(server.ask("GET", f"/v1/duplicates?level=copy&cursor={cursor}"), 410)


def test_however_many_ask_one_process_compares(many: Path, start: Callable[..., Server]) -> None:
    server = start(many)
    levels = ["copy", "object"] * 40
    most = 0
    with ThreadPoolExecutor(16) as threads:
        answers = threads.map(lambda level: begin(server, level), levels)
        for _ in range(20):
            most = max(most, len(comparing(server)))
        assert set(answers) == {"comparing"}
    wait_until(lambda: len(comparing(server)) == 1)
    for level in ("copy", "object"):
        while ask(server, f"?level={level}")["state"] == "comparing":
            most = max(most, len(comparing(server)))
    assert most == 1
    assert counted(server, "copy", "done") == counted(server, "object", "done") == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_comparison_ends_with_its_server(
    many: Path, start: Callable[..., Server], how: signal.Signals
) -> None:
    server = start(many)
    begin(server, "copy")
    begin(server, "object")  # waits
    wait_until(lambda: ask(server, "?level=copy")["progress"])
    (pid,) = comparing(server)
    status, said = server.stop(how)
    assert said == ""
    assert status == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    if how == signal.SIGKILL:
        wait_until(lambda: not is_comparison(pid))
    else:
        assert not is_comparison(pid)


def test_one_that_takes_too_long_is_ended(many: Path, start: Callable[..., Server]) -> None:
    server = start(many, tight={"compare_seconds": 0.3})
    begin(server)
    path = "/v1/duplicates?level=copy"
    wait_until(lambda: server.ask("GET", path)[0] == 503)
    said = problem(server.ask("GET", path), 503)
    assert said["type"] == "urn:glocal:comparison"
    assert "longer than 0.3 s" in said["detail"]
    assert comparing(server) == []
    with pytest.raises(ServerError, match="longer than"):
        list(server.client().duplicates("copy"))
    wait_until(lambda: server.ask("GET", path)[0] == 200)  # it can be started again
    assert ask(server, "?level=copy")["state"] == "not_compared"


def test_one_that_dies_is_a_problem_and_can_be_asked_again(
    many: Path, start: Callable[..., Server]
) -> None:
    server = start(many)
    begin(server)
    pids: list[int] = []
    wait_until(lambda: pids.extend(comparing(server)) or pids)
    os.kill(pids[0], signal.SIGKILL)
    path = "/v1/duplicates?level=copy"
    wait_until(lambda: server.ask("GET", path)[0] == 503)
    answer = server.ask("GET", path)
    assert "unexpectedly, with status -9" in problem(answer, 503)["detail"]
    assert answer[1]["retry-after"] == "3"
    assert counted(server, "copy", "failed") == 1
    wait_until(lambda: server.ask("GET", path)[0] == 200)
    assert len(found(server, "copy")["groups"]) == 2


def test_a_long_group_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.web.compare_child._MOST_IMAGES", 5)

    def image(verdict: Verdict | None) -> DuplicateImage:
        path = Path("a.jpg")
        return DuplicateImage(
            id=uuid4().hex, path=path, paths=(path,), width=4, height=3, bytes=10, verdict=verdict
        )

    images = (image(None), *(image(Verdict.COPY) for _ in range(7)), image(Verdict.SAME_OBJECT))
    long = DuplicateGroup(GroupKind.SAME_OBJECT, images, 70, 2)
    short = DuplicateGroup(GroupKind.IDENTICAL, images[:1], 10)
    first, second = encoded([long, short])
    assert (first["kind"], len(first["images"]), first["left_out"]) == ("same_object", 5, 6)
    assert [one["id"] for one in first["images"]] == [one.id for one in images[:5]]
    assert first["bytes_to_free"] == 70
    assert (second["kind"], second["images"]) == ("identical", plain([images[0]]))


def test_a_page_of_large_groups_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.web.comparisons._PAGE_BYTES", 100)
    comparison = Comparison(Level.COPY)
    comparison.groups = [json.dumps({"group": {"n": n, "x": "x" * 40}}).encode() for n in range(7)]
    seen, offset = [], 0
    while offset < 7:
        page, following = comparison.page(offset, 50)
        assert 1 <= len(page) <= 2
        seen += [one["n"] for one in page]
        offset += len(page)
        assert following == (f"{comparison.id}-{offset}" if offset < 7 else None)
    assert seen == list(range(7))
