from __future__ import annotations

from pathlib import Path

import pytest

from glocal.methods import closure as closure_module
from glocal.methods.closure import closure, source_hash


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that takes the place of glocal's sources."""
    folder = tmp_path / "glocal"
    for name in ("trials", "learn", "parts"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
    (folder / "errors.py").write_text("")
    (folder / "trials" / "one.py").write_text(
        "import glocal.learn.block\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import glocal.learn.types_only\n"
        "def f():\n    from glocal.learn import inside\n"
    )
    (folder / "learn" / "block.py").write_text("from glocal.errors import E\nX = 1  # one\n")
    (folder / "learn" / "inside.py").write_text("from glocal.parts import rows\n")
    (folder / "learn" / "types_only.py").write_text("")
    (folder / "parts" / "rows.py").write_text("")
    monkeypatch.setattr(closure_module, "_SOURCE", tmp_path)
    clear()
    yield folder
    clear()


def clear() -> None:
    for name in ("_file_of", "_imported", "_tree", "_meaning_hash"):
        getattr(closure_module, name).cache_clear()


def hashed() -> str:
    clear()
    return source_hash(["glocal.trials.one"])


def test_all_that_is_imported_counts_wherever_it_is_imported(package: Path) -> None:
    names = {path.relative_to(package).as_posix() for path in closure(["glocal.trials.one"])}
    assert names == {"trials/one.py", "learn/block.py", "learn/inside.py", "learn/__init__.py"}


def test_changed_code_changes_the_hash(package: Path) -> None:
    before = hashed()
    (package / "learn" / "block.py").write_text("from glocal.errors import E\nX = 2  # one\n")
    assert hashed() != before


def test_comments_docstrings_and_layout_do_not(package: Path) -> None:
    before = hashed()
    (package / "learn" / "block.py").write_text(
        '"""What it is."""\n\nfrom glocal.errors import (\n    E,\n)\n\nX = 1\n'
    )
    assert hashed() == before


def test_neither_do_files_that_are_not_imported(package: Path) -> None:
    before = hashed()
    (package / "learn" / "types_only.py").write_text("X = 2\n")
    (package / "parts" / "rows.py").write_text("ROWS = ()\n")
    assert hashed() == before
