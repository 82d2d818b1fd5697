from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from glocal.cli.app import glocal
from glocal.methods.results import VARIABLE


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "results"))
    return tmp_path / "results"


def run(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(glocal, ["methods", *arguments])
    assert done.exit_code == status, done.output
    return done.output


def test_methods_are_listed_with_their_state() -> None:
    lines = run().splitlines()
    assert lines[-1].startswith("390 methods")
    assert any(line.split()[:2] == ["101", "sgconv"] for line in lines)


def test_methods_are_selected() -> None:
    rows = json.loads(run("--stage", "block", "--tier", "B", "--json"))
    assert len(rows) == 21
    assert {"n", "name", "stage", "tier", "state"} <= set(rows[0])
    assert {(row["stage"], row["tier"]) for row in rows} == {("block", "B")}
    assert json.loads(run("--state", "unsound", "--json")) == []


def test_a_method_is_shown_with_paper_sentence_and_deviations() -> None:
    text = run("show", "sgconv")
    assert "What Makes Convolutional Models Great" in text
    assert "sublinear parameters" in text
    assert "Deviations:" in text
    assert (
        "did you mean" in CliRunner().invoke(glocal, ["methods", "show", "sgcon"]).exception.args[0]
    )


def test_a_method_is_run_and_stored(results: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    row = json.loads(run("run", "e2gc", "--json"))
    assert {"name", "state", "measured", "baseline", "seeds"} <= set(row)
    assert row["name"] == "e2gc"
    assert row["seeds"] == [0, 1, 2, 3, 4]
    assert (results / "e2gc.json").is_file()
    assert f"e2gc (n 135, stage block, tier B): {row['state']}" in run("show", "e2gc")
    assert "baseline:" in run("show", "e2gc")
    assert "nothing to run" in run("run", "--stale")


def test_names_and_selections_exclude_each_other() -> None:
    assert "either names" in run("run", "e2gc", "--stale", status=2)


def test_the_page_is_written(tmp_path: Path) -> None:
    run("table", "-o", str(tmp_path / "methods.md"))
    assert "| 101 | `sgconv` | B |" in (tmp_path / "methods.md").read_text(encoding="utf-8")
