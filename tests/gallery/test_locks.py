"""The lock between processes for the moments at which a gallery's files change their form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glocal.errors import GalleryLockedError
from glocal.gallery.locks import locked

HOLD = """
import sys
from pathlib import Path
from glocal.gallery.locks import locked
with locked(Path(sys.argv[1]), "the thing", 10):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_one_process_holds_it_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=-1, stdout=-1, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(GalleryLockedError, match="the thing is in use"),
            locked(path, "the thing", 0.05),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(path, "the thing", 5):
        pass
    with locked(path, "the thing", 5):
        pass
