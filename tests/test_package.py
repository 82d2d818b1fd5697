"""What `import glocal` offers."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

import glocal


def test_the_example_of_the_package_works() -> None:
    results = doctest.testmod(glocal)
    assert results.attempted > 5
    assert results.failed == 0


@pytest.mark.parametrize("name", glocal.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(glocal, name) is not None
    assert name in dir(glocal)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'glocal' has no attribute 'serach'"):
        glocal.serach  # noqa: B018 - getting it is the test


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, glocal; "
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'torch', 'ray', 'fastapi', 'sqlite3'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_process_leaves_folders_of_multiprocessing_behind() -> None:
    """Its `pymp-*` stay in the temporary folder when a process is killed.

    The server's processes for searches are spawned, with pipes alone, which makes no such folder:
    `test_life` looks for one.
    """
    for path in Path(glocal.__file__).parent.rglob("*.py"):
        if path.name != "searchers.py":
            assert "multiprocessing" not in path.read_text(encoding="utf-8"), path


def test_what_runs_the_models_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    """When it does, ONNX Runtime (from 1.32 on) keeps a number of its session in a file `.ses`."""
    code = "import glocal, onnxruntime; onnxruntime.get_available_providers()"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"TMPDIR": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []
