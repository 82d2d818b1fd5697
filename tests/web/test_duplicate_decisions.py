"""Decisions about duplicates over HTTP, the plan to download, and the comparison of two images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import scenes
from PIL import Image, ImageDraw
from running import Server, problem, run_glocal, wait_until

from glocal.gallery import Gallery

JSON = {"Content-Type": "application/json", "X-Glocal": "1"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes; of one a crop, of one a smaller copy in another folder, and of one a covered one."""
    home = tmp_path_factory.mktemp("decided")
    images = home / "images"
    scenes.write(images, range(6))
    (images / "other").mkdir()
    (images / "other" / "crop-003.jpg").write_bytes(scenes.altered(3))
    shutil.copy(images / "scene-004.jpg", images / "other" / "again-004.jpg")
    covered = Image.open(images / "scene-005.jpg")
    width, height = covered.size
    box = (width // 4, height // 4, width // 4 + width // 8, height // 4 + height // 8)
    ImageDraw.Draw(covered).rectangle(box, "#e02020")
    covered.save(images / "covered-005.png")
    with Gallery(home / "gallery") as gallery:
        assert gallery.add(images).added == 9
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    running = Server(home)
    yield running
    assert running.stop() == (0, "")


def found(server: Server, more: str = "") -> list[dict[str, Any]]:
    """The groups of copies."""
    path = f"/v1/duplicates?level=copy{more}"

    def ask() -> dict[str, Any]:
        status, _, body = server.ask("GET", path)
        assert status == 200, body
        value: dict[str, Any] = json.loads(body)
        return value

    asked = {"level": "copy"} | dict(parse_qsl(more))
    begun = server.ask("POST", "/v1/duplicates/comparisons", json.dumps(asked).encode(), JSON)
    assert begun[0] == 202, begun
    wait_until(lambda: ask()["state"] == "done", 60)
    groups: list[dict[str, Any]] = ask()["groups"]
    return groups


def named(groups: list[dict[str, Any]], part: str) -> dict[str, Any]:
    """The group with an image of this name."""
    (group,) = (one for one in groups if any(part in row["path"] for row in one["rows"]))
    return group


def decide(server: Server, kind: str, images: list[str], **more: Any) -> dict[str, Any]:
    body = json.dumps({"kind": kind, "images": images, **more}).encode()
    status, _, answer = server.ask("POST", "/v1/duplicates/decisions", body, JSON)
    assert status == 200, answer
    value: dict[str, Any] = json.loads(answer)
    return value


def ids(group: dict[str, Any]) -> list[str]:
    return [image["id"] for image in group["images"]]


def proposals(groups: list[dict[str, Any]]) -> list[list[tuple[str, str, str]]]:
    """What is proposed for each file of each group."""
    return [
        [(row["path"], row["action"], row["reason"]) for row in group["rows"]] for group in groups
    ]


def comparisons(server: Server) -> str:
    lines = server.ask("GET", "/metrics")[2].decode().splitlines()
    return next(line for line in lines if line.startswith("glocal_comparisons_total"))


def test_each_row_says_what_is_proposed_and_how_likely_its_own_verdict_is(server: Server) -> None:
    group = named(found(server), "crop-003")
    kept, other = group["rows"]
    assert (kept["action"], kept["verdict"], kept["probability"]) == ("keep", "", None)
    assert other["action"] in ("could-remove", "decide-yourself")
    assert other["verdict"] == "copy"
    assert other["probability"] == group["images"][1]["copy_probability"]
    assert other["reason"].startswith("copy, ")
    same = named(found(server), "again-004")["rows"][1]
    assert (same["action"], same["verdict"], same["probability"]) == (
        "could-remove", "identical file", None,
    )  # fmt: skip


def test_not_duplicates_takes_a_group_apart_without_comparing_everything_again(
    server: Server,
) -> None:
    before = found(server)
    group = named(before, "crop-003")
    compared = comparisons(server)
    answer = decide(server, "not_duplicates", ids(group))
    assert answer == {"changed": 1, "groups": []}
    left = found(server)
    assert left == [one for one in before if one != group]
    page = json.loads(server.ask("GET", "/v1/duplicates?level=copy")[2])
    assert page["total"] == len(left)
    assert page["bytes_to_free"] == sum(one["bytes_to_free"] for one in left)
    listed = json.loads(server.ask("GET", "/v1/duplicates/decisions")[2])
    assert [sorted(one["id"] for one in each) for each in listed["not_duplicates"]] == [
        sorted(ids(group))
    ]
    undone = decide(server, "not_duplicates", ids(group), undo=True)
    assert undone["changed"] == 1
    assert proposals(undone["groups"]) == proposals([group])
    assert proposals(found(server)) == proposals(before)
    assert comparisons(server) == compared


def test_the_image_that_a_person_keeps_comes_first_and_is_never_spare(
    server: Server, home: Path
) -> None:
    group = named(found(server), "crop-003")
    first, other = ids(group)
    answer = decide(server, "keep", [other])
    assert answer["changed"] == 1
    (now,) = answer["groups"]
    assert ids(now) == [other, first]
    assert [image["chosen"] for image in now["images"]] == [True, False]
    assert now["rows"][0]["reason"].startswith("you decided to keep it")
    (both,) = decide(server, "keep", [first])["groups"]
    assert all(row["action"] != "could-remove" for row in both["rows"])
    with Gallery(home / "gallery", create=False) as gallery:  # the command line sees the same
        assert {one.hex for one in gallery.decided()[1]} == {first, other}
    (back,) = decide(server, "keep", [first, other], undo=True)["groups"]
    assert proposals([back]) == proposals([group])


def test_a_preferred_folder_decides_between_equals(server: Server, home: Path) -> None:
    other = home / "images" / "other"
    assert named(found(server), "again-004")["rows"][0]["path"].endswith("scene-004.jpg")
    preferred = named(found(server, f"&prefer={other}"), "again-004")["rows"]
    assert preferred[0]["path"] == str(other / "again-004.jpg")
    answer = server.ask("GET", f"/v1/duplicates?prefer={other}")
    (identical,) = json.loads(answer[2])["groups"]
    assert identical["rows"][0]["path"] == str(other / "again-004.jpg")
    wrong = server.ask("GET", "/v1/duplicates?level=copy&prefer=/nowhere")
    assert "no folder /nowhere" in problem(wrong, 422)["detail"]


def test_the_command_line_accepts_the_plan_that_is_downloaded(
    server: Server, home: Path, tmp_path: Path
) -> None:
    groups = found(server)
    status, headers, body = server.ask("GET", "/v1/duplicates/plan?level=copy")
    assert status == 200
    assert headers["content-disposition"] == 'attachment; filename="duplicates-copy.csv"'
    plan = tmp_path / "downloaded.csv"
    plan.write_bytes(body)
    written = tmp_path / "written.csv"
    run_glocal("duplicates", "--plan", written, home=home)
    assert body == written.read_bytes()
    checked = run_glocal("duplicates", "--check", plan, "--json", home=home).stdout
    rows = json.loads(checked)
    assert {row["state"] for row in rows} == {"holds"}
    proposed = [(row["action"], row["path"]) for group in groups for row in group["rows"]]
    assert [(row["action"], row["path"]) for row in rows] == proposed
    identical = server.client().duplicate_plan()
    assert identical.splitlines()[0] == body.splitlines()[0]
    assert b"again-004.jpg" in identical


def test_a_plan_needs_a_comparison(home: Path, start: Callable[..., Server]) -> None:
    answer = start(home).ask("GET", "/v1/duplicates/plan?level=object")
    assert "have not been compared" in problem(answer, 409)["detail"]


def test_two_images_are_compared_where_they_differ(server: Server) -> None:
    names = {image.path.name: image for image in server.client().images()}
    found = server.client().compare(names["scene-005.jpg"], names["covered-005.png"])
    assert found.homography is not None
    assert found.share is not None
    assert 0 < found.share < 0.2
    x, y, width, height = found.differing[0]
    assert abs(x - 0.25) < 0.03
    assert abs(y - 0.25) < 0.03
    assert abs(width - 0.125) < 0.05
    assert abs(height - 0.125) < 0.05
    assert len(found.differing_second) == len(found.differing)
    crop = server.client().compare(names["scene-003.jpg"], names["crop-003.jpg"])
    assert crop.evidence is not None
    assert crop.evidence.verdict == "copy"
    alien = server.client().compare(names["scene-000.jpg"], names["scene-001.jpg"])
    assert alien.differing == ()
    missing = f"/v1/duplicates/pair?first={'0' * 32}&second={names['scene-000.jpg'].id}"
    problem(server.ask("GET", missing), 404)


def test_decisions_are_guarded_as_every_change_is(
    server: Server, home: Path, start: Callable[..., Server]
) -> None:
    group = named(found(server), "crop-003")
    body = json.dumps({"kind": "keep", "images": ids(group)[:1]}).encode()
    path, sent = "/v1/duplicates/decisions", {"Content-Type": "application/json"}
    assert problem(server.ask("POST", path, body, sent), 403)["type"] == "urn:glocal:csrf"
    foreign = sent | {"X-Glocal": "1", "Origin": "https://elsewhere.example"}
    problem(server.ask("POST", path, body, foreign), 403)
    closed = start(home, "--read-only")
    problem(closed.ask("POST", path, body, sent | {"X-Glocal": "1"}), 403)
    assert json.loads(closed.ask("GET", path)[2]) == {"not_duplicates": [], "keep": []}
    for wrong in (
        {"kind": "not_duplicates", "images": ids(group)[:1]},
        {"kind": "remove", "images": ids(group)},
        {"kind": "keep", "images": []},
    ):
        answer = server.ask("POST", path, json.dumps(wrong).encode(), sent | {"X-Glocal": "1"})
        problem(answer, 422)
    unknown = json.dumps({"kind": "keep", "images": ["0" * 32]}).encode()
    problem(server.ask("POST", path, unknown, sent | {"X-Glocal": "1"}), 404)
