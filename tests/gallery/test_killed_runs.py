"""Real processes, really killed: whatever the moment, the next run completes the gallery."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from killed_runs import SMALL_BATCHES, contents, kill_runs, write_photos

import glocal
from forked import Program

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


def index(photos: Path, gallery: Path, model: Path) -> Program:
    command = ["index", photos, "--gallery", gallery, "--model", model, "--detector", "own"]
    return Program(command, code=SMALL_BATCHES, text=True)


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
    with index(photos, gallery, model) as run:
        while run.poll() is None and not _has_files(gallery):
            time.sleep(0.002)
        run.send_signal(how)
        status = run.wait(30)
        said = run.stderr.read()
    if status != 0:  # it may just have finished
        assert status == 1
        assert "run the same command again to continue" in said
    assert "Traceback" not in said
    with glocal.open(gallery) as opened:
        assert opened.check(sample=None).not_found == ()
    with index(photos, gallery, model) as again:
        assert again.wait(60) == 0
    assert len(contents(gallery)["files"]) == 320


def _has_files(gallery: Path) -> bool:
    try:
        with glocal.open(gallery, create=False) as opened:
            return opened._catalog.counts()["files"] > 0
    except glocal.GlocalError:
        return False
