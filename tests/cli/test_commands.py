"""The command line as people and programs use it: JSON, exit statuses, messages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import forked
from glocal import Evidence, Hit, Verdict

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def photo(path: Path, seed: int) -> Path:
    """A smooth image that no other seed resembles."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((160, 120)).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(4):
        photo(tmp_path / "photos" / ("sub" if seed == 3 else "") / f"{seed}.jpg", seed)
    return tmp_path / "photos"


@pytest.fixture
def glocal(tmp_path: Path) -> Run:
    """Runs the program in a process of its own, with a gallery for this test."""

    def run(
        *arguments: str | Path, status: int = 0, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"GLOCAL_GALLERY": str(tmp_path / "gallery")} | more.pop("env", {})
        done = forked.run(arguments, env=env, cwd=tmp_path, **more)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert b"Traceback" not in (
            done.stderr if isinstance(done.stderr, bytes) else done.stderr.encode()
        )
        return done

    return run


def test_index_counts_added_updated_unchanged_and_removed_files(glocal: Run, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    first = json.loads(glocal("index", photos, "--json").stdout)
    assert set(first) == {
        "added",
        "updated",
        "unchanged",
        "removed",
        "failed",
        "seconds",
        "images_per_second",
        "not_read",
        "truncated",
    }
    assert (first["added"], first["updated"], first["unchanged"], first["removed"]) == (4, 0, 0, 0)
    assert first["failed"] == [{"path": str(photos / "bad.jpg"), "reason": "empty file (0 bytes)"}]
    photo(photos / "0.jpg", 10)
    (photos / "1.jpg").unlink()
    photo(photos / "new.jpg", 11)
    second = json.loads(glocal("index", photos, "--json").stdout)
    counted = [second[key] for key in ("added", "updated", "unchanged", "removed")]
    assert counted == [1, 1, 2, 1]
    assert len(second["failed"]) == 1


def test_search_prints_one_json_object_for_each_query(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    queries = [photos / "2.jpg", photos / "0.jpg"]
    lines = glocal("search", *queries, "--json", "--limit", "2").stdout.splitlines()
    for query, line in zip(queries, lines, strict=True):
        answer = json.loads(line)
        fields_of = {"query", "text", "change", "model", "found", "matches", "hits", "timings_ms"}
        assert set(answer) == fields_of
        assert (answer["found"], answer["matches"]) == (True, 1)
        assert answer["query"] == str(query)
        assert answer["model"] == "glocal-lite0 v4"
        stages = {"decode", "encode", "search", "rerank", "regions", "verify", "verify_regions"}
        assert set(answer["timings_ms"]) == stages
        assert [hit["rank"] for hit in answer["hits"]] == [1, 2]
        best = answer["hits"][0]
        assert set(best) == {field.name for field in fields(Hit)}
        assert (best["path"], best["paths"]) == (str(query), [str(query)])
        assert (best["width"], best["height"], best["bytes"]) == (160, 120, query.stat().st_size)
        assert best["score"] == best["scores"]["vector"] == pytest.approx(1, abs=0.01)
        assert set(best["evidence"]) == {field.name for field in fields(Evidence)}
        assert best["evidence"]["verdict"] == "identical_file"
        assert answer["hits"][1]["evidence"]["verdict"] in {verdict.value for verdict in Verdict}


def test_search_prints_a_table_with_verdicts_and_counts_identical_files(
    glocal: Run, photos: Path
) -> None:
    (photos / "0 again.jpg").write_bytes((photos / "0.jpg").read_bytes())
    glocal("index", photos)
    first, line, *others = glocal("search", photos / "0.jpg").stdout.splitlines()
    assert first.split()[:4] == ["1", "1.000", "identical", "file"]
    assert first.endswith(" inliers  photos/0 again.jpg (and 1 identical)")
    assert line == "  no match, but similar:"
    assert len(others) == 3
    for line in others:
        assert any(f"  {verdict.label} " in line for verdict in Verdict)


def test_search_says_that_a_thing_is_absent(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    grain = np.random.default_rng(9).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(grain).resize((400, 320)).save(photos.parent / "absent.jpg")
    first, *others = glocal("search", "absent.jpg").stdout.splitlines()
    assert first == "  no match; the most similar images are:"
    assert len(others) == 4
    assert all("  similar  " in line for line in others)
    plain = glocal("search", "absent.jpg", "--no-verify").stdout.splitlines()
    assert len(plain) == 4  # nobody looked
    sheet = photos.parent / "sheet.html"
    glocal("search", "absent.jpg", photos / "0.jpg", "--html", sheet)
    page = sheet.read_text(encoding="utf-8")
    for heading in ("No match. The most similar images", "Found in 1 image", "Similar, but no"):
        assert f"<h3>{heading}" in page


def test_a_query_that_fails_does_not_stop_the_others(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    done = glocal("search", "none.jpg", photos / "0.jpg", "--json", status=1)
    failed, answered = map(json.loads, done.stdout.splitlines())
    assert failed["query"] == "none.jpg"
    assert "no such file" in failed["error"]
    assert answered["hits"]
    assert "none.jpg: no such file" in done.stderr


def test_search_reads_standard_input(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    data = (photos / "3.jpg").read_bytes() if (photos / "3.jpg").exists() else None
    data = data or (photos / "sub" / "3.jpg").read_bytes()
    done = glocal("search", "-", "--json", "-n", "1", text=False, input=data)
    assert json.loads(done.stdout)["hits"][0]["path"].endswith("3.jpg")


def test_search_takes_conditions_examples_and_regions(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    paths = [
        hit["path"]
        for hit in json.loads(
            glocal(
                "search", photos / "0.jpg", "--json", "--where", f"folder = '{photos}/sub'"
            ).stdout
        )["hits"]
    ]
    assert paths == [str(photos / "sub" / "3.jpg")]
    examples = ("--like", photos / "1.jpg", "--unlike", photos / "2.jpg")
    mixed = glocal("search", photos / "0.jpg", *examples, "--no-verify")
    ranks = [line.split()[-1] for line in mixed.stdout.splitlines() if ".jpg" in line]
    assert {Path(r).name for r in ranks[:2]} == {"0.jpg", "1.jpg"}
    assert Path(ranks[-1]).name in ("2.jpg", "3.jpg")
    glocal("search", photos / "0.jpg", "--region", "0,0,0.5,0.5")
    glocal("search", photos / "0.jpg", "--region", "10,10,100,50", "--exact")
    outside = glocal("search", photos / "0.jpg", "--region", "500,500,10,10", status=1)
    assert "0.jpg: " in outside.stderr


def test_html_writes_a_contact_sheet_with_explanations(
    glocal: Run, photos: Path, tmp_path: Path
) -> None:
    glocal("index", photos)
    glocal("search", photos / "0.jpg", "--html", tmp_path / "sheet.html")
    sheet = (tmp_path / "sheet.html").read_text()
    assert sheet.count("data:image/jpeg") == 8  # five images, and why the first three were found
    failed = glocal("search", photos / "0.jpg", "--html", tmp_path / "no" / "sheet.html", status=1)
    assert "there is no folder" in failed.stderr
    assert failed.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["index"],
        ["nonsense"],
        ["search"],
        ["search", "a.jpg", "--region", "1,2"],
        ["search", "a.jpg", "--limit", "0"],
        ["index", "x", "--max-bytes", "-1"],
        ["index", "x", "--no-such-option"],
        ["demo", "."],
        ["demo", "missing-folder", "query.jpg"],
    ],
)
def test_wrong_usage_exits_with_2(glocal: Run, arguments: list[str]) -> None:
    status = 1 if arguments == ["index"] else 2  # there is no gallery yet to refresh
    assert glocal(*arguments, status=status).stderr


def test_failures_exit_with_1_and_say_what_to_do(glocal: Run, photos: Path, tmp_path: Path) -> None:
    assert "glocal index" in glocal("search", photos / "0.jpg", status=1).stderr
    assert "not there" in glocal("index", tmp_path / "unplugged", status=1).stderr
    glocal("index", photos)
    said = glocal("search", photos / "0.jpg", "--where", "colour = red", status=1).stderr
    assert "instead of 'colour' at character 1" in said
    assert (
        "--max-pixels" in glocal("search", photos / "0.jpg", "--max-pixels", "5", status=1).stderr
    )
    taken = glocal("index", photos, "--gallery", photos, status=1)
    assert "neither empty nor a gallery" in taken.stderr
    assert "SHA-256" in glocal("index", photos, "-g", "g2", "--model-sha256", "00", status=1).stderr


def test_strict_makes_skipped_files_an_error(glocal: Run, photos: Path) -> None:
    glocal("index", photos, "--strict")
    (photos / "bad.png").write_bytes(b"not an image")
    glocal("index", photos)
    assert "bad.png" in glocal("index", photos, "--strict", status=1).stderr


def test_photos_of_a_missing_folder_stay_in_the_gallery(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    away = photos.rename(photos.with_name("elsewhere"))
    report = json.loads(glocal("index", photos, "--json", status=1).stdout)
    assert report["removed"] == 0
    assert report["failed"][0]["path"] == str(photos)
    assert "4 in 4 files" in glocal("info").stdout
    away.rename(photos)
    assert json.loads(glocal("index", "--json").stdout)["unchanged"] == 4


def test_info_lists_the_first_of_many_files_that_were_named(glocal: Run, tmp_path: Path) -> None:
    named = [tmp_path / f"{number:02}.png" for number in range(24)]
    for number, path in enumerate(named):
        Image.new("RGB", (40, 30), (10 * number, 0, 0)).save(path)
    glocal("index", *named)
    lines = glocal("info").stdout.splitlines()
    assert sum(str(tmp_path) in line and ".png" in line for line in lines) == 20
    assert "and 4 more; --json lists all" in "\n".join(lines)
    assert len(json.loads(glocal("info", "--json").stdout)["roots"]) == 24


def test_info_check_remove_and_models_describe_the_gallery(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    known = json.loads(glocal("info", "--json").stdout)
    assert (known["images"], known["files"], known["failed"]) == (4, 4, 0)
    assert known["model"]["name"] == "glocal-lite0"
    health = json.loads(glocal("check", "--json", "--full").stdout)
    assert health["sound"]
    assert health["tried"] == 4
    assert "1 file removed from the gallery" in glocal("remove", photos / "sub").stdout
    assert "nothing at" in glocal("remove", photos / "sub", status=1).stderr
    assert json.loads(glocal("info", "--json").stdout)["files"] == 3
    listed = json.loads(glocal("models", "--json").stdout)
    assert [(m["name"], m["default"], m["gallery"]) for m in listed] == [
        ("glocal-lite0", True, True),
        ("glocal-lite0-multiscale", False, False),
        ("glocal-lite2", False, False),
    ]
    glocal("check", "--repair")


def test_check_repairs_a_broken_gallery(glocal: Run, photos: Path, tmp_path: Path) -> None:
    glocal("index", photos)
    catalog = tmp_path / "gallery" / "catalog.sqlite"
    for extra in ("-wal", "-shm"):
        catalog.with_name(catalog.name + extra).unlink(missing_ok=True)
    catalog.write_bytes(b"rubbish" * 1000)
    assert "glocal check --repair" in glocal("search", photos / "0.jpg", status=1).stderr
    glocal("check", "--repair")
    glocal("index", photos)
    assert json.loads(glocal("check", "--json", "--full").stdout)["images"] == 4
    files = (tmp_path / "gallery" / "vectors").glob("*.i8")
    (vectors,) = (path for path in files if "%2F" not in path.name)
    vectors.write_bytes(b"")
    assert "glocal check --repair" in glocal("search", photos / "0.jpg", status=1).stderr
    glocal("check", "--repair")
    assert json.loads(glocal("check", "--json", "--full").stdout)["images"] == 4


def test_every_command_has_help(glocal: Run) -> None:
    text = glocal("--help").stdout
    for command in ("index", "search", "info", "check", "remove", "models", "demo", "completion"):
        assert command in text
        assert "Usage: glocal " + command in glocal(command, "--help").stdout
    assert glocal("--version").stdout.startswith("glocal, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(glocal: Run, shell: str) -> None:
    assert "_GLOCAL_COMPLETE" in glocal("completion", shell).stdout


def test_verbose_and_glocal_log_set_the_log_level(glocal: Run, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    assert "skipping" in glocal("--verbose", "index", photos).stderr
    photo(photos / "new.jpg", 11)
    assert "wrote a batch" in glocal("index", photos, env={"GLOCAL_LOG": "debug"}).stderr
    glocal("info", env={"GLOCAL_LOG": "loud"}, status=2)


def test_a_closed_output_pipe_gives_no_traceback(glocal: Run, photos: Path, tmp_path: Path) -> None:
    glocal("index", photos)
    program = f"{sys.executable} -m glocal search --json {photos}/*.jpg | head -c 1"
    done = subprocess.run(
        ["bash", "-c", program],
        env=os.environ | {"GLOCAL_GALLERY": str(tmp_path / "gallery")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_watch_follows_the_folder(photos: Path, tmp_path: Path) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "glocal", "index", str(photos), "--watch", "--json"],
        env=os.environ | {"GLOCAL_GALLERY": str(tmp_path / "gallery"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        assert json.loads(watching.stdout.readline())["added"] == 4
        photo(photos / "later.jpg", 20)
        assert json.loads(watching.stdout.readline())["added"] == 1
        (photos / "later.jpg").rename(photos / "moved.jpg")
        moved = json.loads(watching.stdout.readline())
        assert (moved["added"], moved["removed"]) == (1, 1)
    finally:
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert "Traceback" not in said


def test_two_regions_search_for_a_relation_and_refuse_what_does_not_go_with_it(
    glocal: Run, photos: Path
) -> None:
    glocal("index", photos)
    pair = ("--region", "0,0,.5,1", "--region", ".5,0,.5,1")
    told = json.loads(glocal("search", photos / "1.jpg", *pair, "-n", "1", "--json").stdout)
    (hit,) = told["hits"]
    assert hit["score"] == hit["scores"]["relation"]
    assert len(hit["box"]) == len(hit["second_box"]) == 4
    assert "first at" in glocal("search", photos / "1.jpg", *pair).stdout
    for wrong, said in (
        ((*pair, "--region", "0,0,1,1"), "twice at most"),
        (("--region", "0,0,.5,1", "--relation", "above"), "give --region twice"),
        ((*pair, "--no-verify"), "combined with --no-verify"),
        ((*pair, "--text", "x"), "combined with --text"),
        (("--any-view",), "give --sketch"),
        (("--sketch", "--region", "0,0,1,1"), "a sketch cannot be combined with --region"),
    ):
        assert said in glocal("search", photos / "1.jpg", *wrong, status=2).stderr
