from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from glocal.errors import MethodError
from glocal.methods import Method, changes


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two trials, each with a file of its own, committed on the branch main."""
    git(tmp_path, "init", "-b", "main")
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("X = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "switch", "-c", "work")
    monkeypatch.setattr(changes, "_SOURCE", tmp_path)
    monkeypatch.setattr(changes, "files_of", lambda method: (str(tmp_path / f"{method.name}.py"),))
    return tmp_path


def named() -> list[str]:
    rows = [Method(0, name, "block", "B", "", "", "lab", 1, "") for name in ("one", "two")]
    return [method.name for method in changes.changed(rows)]


def test_nothing_is_changed_in_a_clean_checkout(checkout: Path) -> None:
    assert named() == []


def test_changes_count_whether_or_not_they_are_committed(checkout: Path) -> None:
    (checkout / "two.py").write_text("X = 2\n")
    assert named() == ["two"]
    git(checkout, "commit", "-am", "second")
    assert named() == ["two"]
    (checkout / "one.py").unlink()
    assert named() == ["one", "two"]


def test_a_new_file_counts_before_it_is_added(checkout: Path) -> None:
    git(checkout, "rm", "one.py")
    git(checkout, "commit", "-m", "without")
    git(checkout, "branch", "-f", "main")
    (checkout / "one.py").write_text("X = 3\n")
    assert named() == ["one"]


def test_without_a_checkout_there_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(changes, "_SOURCE", tmp_path / "nowhere")
    with pytest.raises(MethodError, match="in a git checkout"):
        named()
