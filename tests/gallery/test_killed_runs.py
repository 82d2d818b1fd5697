"""Real processes, really killed: whatever the moment, the next run completes the gallery."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from killed_runs import contents, kill_runs, write_photos

import glocal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

# Small batches, so that a kill finds a run between many of them.
PROGRAM = """
import sys
import glocal.gallery.batches as batches
batches.BATCH = 8
from glocal.cli import main
sys.argv = ["glocal", *sys.argv[1:]]
main()
"""


def index(photos: Path, gallery: Path, model: Path) -> subprocess.Popen[bytes]:
    command = ["index", str(photos), "--gallery", str(gallery), "--model", str(model)]
    command += ["--detector", "own"]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """320 images, 60 of which are copies in another folder, and some that are none."""
    folder = tmp_path_factory.mktemp("killed") / "photos"
    write_photos(folder)
    return folder


KILLS = 12 * max(int(os.environ.get("GLOCAL_EXPLORED_EXAMPLES", "0")), 1)
"""How many index runs are killed; `scripts/explore.sh` kills many more."""


def test_kills_leave_no_trace(photos: Path, model: Path, tmp_path: Path) -> None:
    assert kill_runs(photos, model, tmp_path, KILLS, seed=1)["kills"] >= KILLS


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_end_keeps_what_was_done(
    photos: Path, model: Path, tmp_path: Path, how: signal.Signals
) -> None:
    gallery = tmp_path / "gallery"
    run = index(photos, gallery, model)
    while run.poll() is None and not _has_files(gallery):
        pass
    run.send_signal(how)
    _, said = run.communicate(timeout=30)
    if run.returncode != 0:  # it may just have finished
        assert run.returncode == 1
        assert b"run the same command again to continue" in said
    assert b"Traceback" not in said
    with glocal.open(gallery) as opened:
        assert opened.check(sample=None).not_found == ()
    again = index(photos, gallery, model)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert len(contents(gallery)["files"]) == 320


def _has_files(gallery: Path) -> bool:
    try:
        with glocal.open(gallery, create=False) as opened:
            return opened._catalog.counts()["files"] > 0
    except glocal.GlocalError:
        return False
