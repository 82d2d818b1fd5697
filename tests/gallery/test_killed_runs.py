"""Real processes, really killed: whatever the moment, the next run completes the gallery."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from image_folders import write_images

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


# Imports once what a run imports, then makes each run a process of its own and kills it in time.
RUNS = """
import os
import signal
import sys
import time
import onnxruntime
import simplejpeg
import usearch.index
import glocal.gallery.batches as batches
from glocal.cli import main
from PIL import Image, JpegImagePlugin, PngImagePlugin
batches.BATCH = 8
for line in sys.stdin:
    photos, gallery, model, seconds = line.rstrip("\\n").split("\\t")
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(2, 1)
        sys.argv = ["glocal", "index", photos, "--gallery", gallery, "--model", model]
        sys.argv += ["--detector", "own"]
        status = 1
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
        finally:
            os._exit(status)
    ended = 0
    while not ended and time.monotonic() < began + float(seconds):
        ended, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        ended, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), time.monotonic() - began, flush=True)
"""


def contents(folder: Path) -> dict[str, Any]:
    """All that a gallery holds, in terms that do not depend on how it came to hold it."""
    with glocal.open(folder, create=False) as gallery:
        health = gallery.check(sample=None)
        assert health.sound, health.faults()
        catalog, store = gallery._catalog, gallery._store()
        numbers = {n: str(p) for n, p, _ in catalog.folders_below(Path("/"))} | {0: "several"}
        ids = sorted(catalog.content_ids())
        regions = gallery._regions.store
        assert regions is not None
        return {
            "files": {str(path): state.content for path, state in catalog.all_files()},
            "failures": catalog.failures(),
            "contents": catalog.contents(ids),
            "parts": catalog.local_features(ids),
            "vectors": {i: v.tobytes() for i, v in store.vectors(ids).items()},
            "regions": {i: r.vectors.tobytes() for i, r in regions.regions(ids).items()},
            "region folders": {i: sorted(numbers[n] for n in f) for i, f in regions.scan()},
            "folders": {i: sorted(numbers[n] for n in f) for i, f in store.scan()},
        }


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """320 images, 60 of which are copies in another folder, and some that are none."""
    folder = tmp_path_factory.mktemp("killed") / "photos"
    write_images(folder, 240)
    write_images(folder / "more", 80, first=180)
    for number in range(5):
        (folder / f"bad{number}.jpg").write_bytes(b"no image")
    return folder


KILLS = 12 * max(int(os.environ.get("GLOCAL_EXPLORED_EXAMPLES", "0")), 1)
"""How many index runs are killed; `scripts/explore.sh` kills many more."""


def test_kills_leave_no_trace(photos: Path, model: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as file:
        runs = subprocess.Popen(
            [sys.executable, "-c", RUNS], stdin=-1, stdout=-1, stderr=file, text=True, bufsize=1
        )
    assert runs.stdin is not None
    assert runs.stdout is not None

    def run(gallery: Path, seconds: float) -> tuple[int, float]:
        """Index; the status, and the seconds it took."""
        print(photos, gallery, model, seconds, sep="\t", file=runs.stdin)
        status, took = runs.stdout.readline().split()
        return int(status), float(took)

    try:
        status, whole = run(tmp_path / "whole", 60)
        assert status == 0, said.read_text()[-1000:]
        expected = contents(tmp_path / "whole")
        assert len(expected["files"]) == 320
        assert len(expected["vectors"]) == len(expected["regions"]) == 260

        delays = random.Random(1)
        kills = galleries = 0
        while kills < KILLS:
            galleries += 1
            gallery = tmp_path / f"killed-{galleries}"
            while (status := run(gallery, delays.uniform(0, whole))[0]) == -signal.SIGKILL:
                kills += 1
            assert status == 0, said.read_text()[-1000:]
            assert contents(gallery) == expected
    finally:
        runs.kill()
        runs.communicate()
    assert "Traceback" not in said.read_text()


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
