"""Index runs that are killed at any moment and started again, until the gallery is complete."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from image_folders import write_images

import glocal

SMALL_BATCHES = """
import sys
import glocal.gallery.batches as batches
batches.BATCH = 8
from glocal.cli import main
sys.argv = ["glocal", *sys.argv[1:]]
main()
"""
"""The program, with small batches, so that what happens meanwhile finds a run between many."""

# Imports once what a run imports, then makes each run a process of its own and kills it in time.
RUNS = """
import os
import signal
import sys
import time
import glocal.gallery.batches as batches
import onnxruntime
import simplejpeg
import usearch.index
from glocal.cli import main
from PIL import Image, JpegImagePlugin, PngImagePlugin
batches.BATCH = 8
for line in sys.stdin:
    gallery, model, seconds, *options = line.rstrip("\\n").split("\\t")
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(2, 1)
        sys.argv = ["glocal", "index", *options, "--gallery", gallery, "--model", model]
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
        ended, status, used = os.wait4(pid, os.WNOHANG)
        time.sleep(0.001)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        ended, status, used = os.wait4(pid, 0)
    took = time.monotonic() - began
    print(os.waitstatus_to_exitcode(status), took, used.ru_maxrss, flush=True)
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


def write_photos(folder: Path, count: int = 240) -> None:
    """Images, a third as many more in another folder of which most are copies, and files that are
    none."""
    write_images(folder, count)
    write_images(folder / "more", count // 3, first=count * 3 // 4)
    for number in range(5):
        (folder / f"bad{number}.jpg").write_bytes(b"no image")


def still_there(folder: Path) -> set[str]:
    """The files that a gallery has after a kill; it is sound, whatever the moment was."""
    if not (folder / "gallery.json").exists():
        return set()  # it was not even made
    with glocal.open(folder, create=False) as gallery:
        health = gallery.check(sample=None)
        assert health.sound, health.faults()
        return {str(path) for path, _ in gallery._catalog.all_files()}


CHANGES = ([], ["--exclude", "more"])
"""The index runs of each gallery: the first adds all, the second removes a folder's images."""


def kill_runs(photos: Path, model: Path, work: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill so many index runs, and start each again until it is through.

    After each kill the gallery is checked; a completed one is compared with what it is without.

    Returns:
        How many ``kills`` there were, how many ``galleries`` were completed and compared with one
        of which no run was killed, and the largest ``peak`` of a run's memory (KiB on Linux).
    """
    temporary = work / "temporary"
    temporary.mkdir()
    said = work / "said"
    with said.open("w") as file:
        runs = subprocess.Popen(
            [sys.executable, "-c", RUNS],
            stdin=-1,
            stdout=-1,
            stderr=file,
            text=True,
            bufsize=1,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
    assert runs.stdin is not None
    assert runs.stdout is not None

    peaks: list[int] = []

    def run(gallery: Path, seconds: float, options: list[str]) -> tuple[int, float]:
        """Index; the status, and the seconds it took."""
        print(gallery, model, seconds, photos, *options, sep="\t", file=runs.stdin)
        status, took, peak = runs.stdout.readline().split()
        peaks.append(int(peak))
        return int(status), float(took)

    try:
        whole = []
        for options in CHANGES:
            status, seconds = run(work / "whole", 60, options)
            assert status == 0, said.read_text()[-1000:]
            whole.append((options, seconds, contents(work / "whole")))
        names = [set(expected["files"]) for _, _, expected in whole]
        images = [path for path in photos.rglob("*.*") if not path.name.startswith("bad")]
        assert names == [{*map(str, images)}, {str(p) for p in images if p.parent == photos}]
        for _, _, expected in whole:
            assert len(expected["vectors"]) == len(expected["regions"])

        delays = random.Random(seed)
        killed = galleries = 0
        while killed < kills:
            galleries += 1
            gallery = work / f"killed-{galleries}"
            there: set[str] = set()
            for options, seconds, expected in whole:
                while (status := run(gallery, delays.uniform(0, seconds), options)[0]) != 0:
                    assert status == -signal.SIGKILL, said.read_text()[-1000:]
                    killed += 1
                    left = still_there(gallery)
                    assert left >= there & {*expected["files"]}, "the kill lost files"
                    there = left
                assert contents(gallery) == expected
                there = {*expected["files"]}
    finally:
        runs.kill()
        runs.communicate()
    assert "Traceback" not in said.read_text()
    assert list(temporary.iterdir()) == []
    return {"kills": killed, "galleries": galleries, "peak": max(peaks)}
